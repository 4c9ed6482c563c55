// From frames to what a panel is given: its transformations, its field settings and its overrides, by Grafana's own functions.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createFieldConfigRegistry,
  displayNameOverrideProcessor,
  FieldType,
  identityOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  thresholdsOverrideProcessor,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

// The server knows these with their editors; here only how a setting gets to its field counts.
const setting = (id, process = identityOverrideProcessor) => ({
  id, path: id, name: id, settings: {}, editor: () => null, override: () => null, process, shouldApply: () => true,
});
const STANDARD = ['unit', 'min', 'max', 'fieldMinMax', 'decimals', 'noValue', 'mappings', 'links', 'actions', 'color', 'filterable', 'description'];
const CUSTOM = ['width', 'minWidth', 'align', 'cellOptions', 'wrapText', 'wrapHeaderText', 'hideFrom', 'inspect', 'filterable', 'footer',
  'lineStyle', 'lineWidth', 'fillOpacity', 'stacking', 'drawStyle', 'axisPlacement', 'showPoints', 'spanNulls'];

export function start() {
  standardTransformersRegistry.setInit(() =>
    [...new Set(Object.values(standardTransformers))].map((transformation) => ({ id: transformation.id, name: transformation.name, transformation: async () => transformation })));
  standardFieldConfigEditorRegistry.setInit(() => [
    ...STANDARD.map((id) => setting(id)),
    setting('displayName', displayNameOverrideProcessor),
    setting('thresholds', thresholdsOverrideProcessor),
  ]);
}

// Of JSON, the first step has no value; Grafana makes it the least one when it loads a dashboard.
function loaded(value) {
  if (Array.isArray(value)) {
    return value.map(loaded);
  }
  if (value && typeof value === 'object') {
    const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, loaded(inner)]));
    if (copy.steps) {
      copy.steps = copy.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
    }
    return copy;
  }
  return value;
}

export const fieldConfigOf = (panel) => loaded(panel.fieldConfig);

export async function prepare(panel, frames, theme, replaceVariables, timeZone) {
  const known = new Set(standardTransformersRegistry.list().map(({ id }) => id));
  for (const { id } of panel.transformations ?? []) {
    if (!known.has(id)) {
      throw new Error(`${panel.title}: no transformation ${id} in @grafana/data`);
    }
  }
  const context = { interpolate: replaceVariables };
  const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames, context));
  const registry = createFieldConfigRegistry({
    useCustomConfig: (builder) => CUSTOM.forEach((path) =>
      builder.addCustomEditor({ ...setting(path), id: path, path })),
  }, panel.type);
  for (const { properties } of panel.fieldConfig.overrides) {
    for (const { id } of properties) {
      if (!registry.getIfExists(id)) {
        throw new Error(`${panel.title}: the drawing does not know the setting ${id}`);
      }
    }
  }
  const made = applyFieldOverrides({
    data: transformed, fieldConfig: fieldConfigOf(panel), fieldConfigRegistry: registry, replaceVariables, theme, timeZone,
  });
  cacheFieldDisplayNames(made);
  return made;
}

export const hasNumbers = (frames) => frames.some((frame) => frame.length > 0 && frame.fields.some(({ type }) => type === FieldType.number));
