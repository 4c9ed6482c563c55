// What a dashboard may be: @grafana/schema's types, made exact. There, options and custom field settings are any record; here they
// are those of the panel's own type, so that a misspelt option does not compile. Queries and Prometheus annotations are typed by
// the foundation SDK, which is generated from the schemas of the data sources.
import type * as schema from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as statusHistory from '@grafana/schema/dist/esm/raw/composable/statushistory/panelcfg/x/StatusHistoryPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { AnnotationQuery as SdkAnnotation } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

// JSON of a type: the values of enums instead of their names.
type Json<T> = unknown extends T ? unknown
  : T extends string ? `${T}`
  : T extends number ? (number extends T ? number : `${T}` extends `${infer N extends number}` ? N : never)
  : T extends boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[]
  : { [K in keyof T]: Json<T[K]> };

// Without an index signature, which would let everything pass.
type Known<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

type Reference = { type: 'prometheus'; uid: '${datasource}' | '${DS_PROMETHEUS}' | 'prometheus' };
type Link = { title: string; url: string; targetBlank: boolean };

type Field<Custom> = Json<Omit<Known<schema.FieldConfig>, 'custom' | 'links'>> & { links?: Link[]; custom?: Json<Custom> };
type Property<Custom> =
  | { [K in keyof Field<Custom> & string]-?: { id: K; value: Required<Field<Custom>>[K] } }[keyof Field<Custom> & string]
  | { [K in keyof Custom & string]-?: { id: `custom.${K}`; value: Json<Required<Custom>[K]> } }[keyof Custom & string];
type Override<Custom> = {
  matcher: { id: 'byName' | 'byRegexp'; options: string };
  properties: Property<Custom>[];
};

// Of @grafana/data's transformers, those in use; their options are not in the schema.
type Transformation =
  | { id: 'merge'; options: Record<string, never> }
  | { id: 'convertFieldType'; options: { conversions: { targetField: string; destinationType: 'time' }[]; fields: Record<string, never> } }
  | { id: 'sortBy'; options: { fields: Record<string, never>; sort: { field: string; desc: boolean }[] } }
  | {
      id: 'organize';
      options: {
        excludeByName: Record<string, boolean>;
        includeByName: Record<string, boolean>;
        indexByName: Record<string, number>;
        renameByName: Record<string, string>;
      };
    };

type Query = Json<Omit<Dataquery, '_implementsDataqueryVariant' | 'datasource' | 'refId'>> & { refId: string; datasource: Reference };

type PanelOf<Type extends string, Options, Custom, Version extends string> = Json<
  Omit<Known<schema.Panel>, 'type' | 'options' | 'fieldConfig' | 'targets' | 'datasource' | 'transformations' | 'pluginVersion'>
> & {
  type: Type;
  id: number;
  title: string;
  description: string;
  pluginVersion: Version;
  datasource: Reference;
  options: Json<Options>;
  fieldConfig: { defaults: Field<Custom>; overrides: Override<Custom>[] };
  targets: Query[];
  transformations?: Transformation[];
};

export interface Panels {
  bargauge: PanelOf<'bargauge', bargauge.Options, object, typeof bargauge.pluginVersion>;
  heatmap: PanelOf<'heatmap', heatmap.Options, heatmap.FieldConfig, typeof heatmap.pluginVersion>;
  row: Json<Omit<schema.RowPanel, 'panels'>> & { panels: [] };
  stat: PanelOf<'stat', stat.Options, object, typeof stat.pluginVersion>;
  'state-timeline': PanelOf<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig, typeof stateTimeline.pluginVersion>;
  'status-history': PanelOf<'status-history', statusHistory.Options, statusHistory.FieldConfig, typeof statusHistory.pluginVersion>;
  table: PanelOf<'table', table.Options, table.FieldConfig, typeof table.pluginVersion>;
  timeseries: PanelOf<'timeseries', timeseries.Options, timeseries.FieldConfig, typeof timeseries.pluginVersion>;
}

type Variable = Json<Omit<Known<schema.VariableModel>, 'datasource'>> & { datasource?: Reference };
type Annotation =
  | (Json<Omit<SdkAnnotation, 'datasource' | 'target'>> & { datasource: Reference; expr: string })
  | (Json<Omit<schema.AnnotationQuery, 'datasource' | 'target'>> & { builtIn: 1; datasource: { type: 'grafana'; uid: '-- Grafana --' } });

// All but the panels, which are checked one by one: so a message names the panel.
export type Board = Json<Omit<Known<schema.Dashboard>, 'panels' | 'annotations' | 'templating'>> & {
  uid: string;
  title: string;
  annotations: { list: Annotation[] };
  templating: { list: Variable[] };
};

// What Grafana's export "for sharing externally" adds; it is in no published schema.
export type Inputs = {
  __inputs: { name: 'DS_PROMETHEUS'; label: string; description: string; type: 'datasource'; pluginId: 'prometheus'; pluginName: string }[];
  __requires: { type: 'grafana' | 'datasource' | 'panel'; id: string; name: string; version: string }[];
};
