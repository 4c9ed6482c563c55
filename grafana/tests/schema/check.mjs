// Checks every dashboard against the published schema of Grafana: node check.mjs
//
// JSON has no types, so each file is written out as TypeScript, panel by panel, and compiled. Then the same is done with mistakes
// put in, which must not compile: a check that lets everything pass would be worse than none.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultDashboard } from '@grafana/schema';

const here = dirname(fileURLToPath(import.meta.url));
const grafana = join(here, '..', '..');
const checked = join(here, 'checked');

function source(board) {
  const { panels, __inputs, __requires, ...rest } = board;
  const flat = panels.flatMap(({ panels: inner, ...panel }) =>
    panel.type === 'row' ? [{ ...panel, panels: [] }, ...inner] : [panel]);
  const parts = [`import type { Board, Inputs, Panels } from '../types';`, `export const board: Board = ${JSON.stringify(rest, null, 1)};`];
  if (__inputs) {
    parts.push(`export const inputs: Inputs = ${JSON.stringify({ __inputs, __requires }, null, 1)};`);
  }
  for (const panel of flat) {
    parts.push(`// ${panel.title}`, `export const panel${panel.id}: Panels[${JSON.stringify(panel.type)}] = ${JSON.stringify(panel, null, 1)};`);
  }
  return { text: parts.join('\n') + '\n', panels: flat.length };
}

function compile() {
  try {
    execFileSync(process.execPath, [join(here, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', here, '--pretty', 'false'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return '';
  } catch (failure) {
    return failure.stdout;
  }
}

// The first panel of a type, in any section.
const first = (board, type) => board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).find((panel) => panel.type === type);

// Each is one mistake in one file. All must be reported.
const mistakes = {
  'a misspelt option': (board) => { first(board, 'stat').options.colourMode = 'value'; },
  'an option that is missing': (board) => { delete first(board, 'stat').options.graphMode; },
  'a value that no option has': (board) => { first(board, 'stat').options.textMode = 'loud'; },
  'a setting of another panel': (board) => { first(board, 'table').fieldConfig.defaults.custom.lineWidth = 1; },
  'a misspelt setting in an override': (board) => {
    first(board, 'table').fieldConfig.overrides[0].properties[0].id = 'custom.widht';
  },
  'a threshold without a mode': (board) => { delete first(board, 'stat').fieldConfig.defaults.thresholds.mode; },
  'a query without an expression': (board) => { delete first(board, 'stat').targets[0].expr; },
  'a misspelt key of a query': (board) => { first(board, 'stat').targets[0].legend = 'x'; },
  'an unknown panel': (board) => { first(board, 'stat').type = 'singlestat'; },
  'a misspelt key of a variable': (board) => { board.templating.list[0].lable = 'x'; },
  'a hide that is no number': (board) => { board.templating.list[0].hide = 'yes'; },
  'an annotation without a colour': (board) => { delete board.annotations.list[1].iconColor; },
  'a data source of another kind': (board) => { first(board, 'stat').datasource.type = 'loki'; },
  'a misspelt key of the dashboard': (board) => { board.graphTooltips = 1; },
};

rmSync(checked, { recursive: true, force: true });
mkdirSync(checked);
// With the type alone any number would do: the package tells its version at run time only.
const current = defaultDashboard.schemaVersion;
let panels = 0;
const boards = ['import', 'dashboards'].flatMap((folder) => readdirSync(join(grafana, folder)).sort().map((file) => [folder, file]));
for (const [folder, file] of boards) {
  const board = JSON.parse(readFileSync(join(grafana, folder, file), 'utf8'));
  if (board.schemaVersion !== current) {
    console.error(`${folder}/${file}: schemaVersion is ${board.schemaVersion}, and that of @grafana/schema ${current}`);
    process.exit(1);
  }
  const { text, panels: count } = source(board);
  panels += count;
  writeFileSync(join(checked, `${folder}-${file.replace('.json', '.ts')}`), text);
}
const problems = compile();
if (problems) {
  console.error(problems);
  process.exit(1);
}
console.log(`${boards.length} files, ${panels} panels: as @grafana/schema has them`);

rmSync(checked, { recursive: true });
mkdirSync(checked);
const cases = Object.entries(mistakes);
cases.forEach(([, spoil], number) => {
  const board = JSON.parse(readFileSync(join(grafana, 'dashboards', 'uptime-overview.json'), 'utf8'));
  spoil(board);
  writeFileSync(join(checked, `mistake${number}.ts`), source(board).text);
});
const told = compile();
const missed = cases.filter((_, number) => !told.includes(`mistake${number}.ts`)).map(([name]) => name);
rmSync(checked, { recursive: true });
if (missed.length > 0) {
  console.error(`not noticed: ${missed.join(', ')}`);
  process.exit(1);
}
console.log(`${cases.length} mistakes put in: each was noticed`);
