// Checks the objects of the Prometheus Operator against its published models: node operator.mjs
//
// The models come as validators, which know required keys, formats and words, and as types, which know every key. Each object
// has to pass both. Then the same is done with mistakes put in, which must not pass.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const checked = join(here, 'checked');
const models = '@kubernetes-models/prometheus-operator';

function compile(objects) {
  rmSync(checked, { recursive: true, force: true });
  mkdirSync(checked);
  objects.forEach(({ object }, number) => {
    const text = `import type { I${object.kind} } from '${models}/${object.apiVersion}/${object.kind}';\n`
      + `export const it: I${object.kind} = ${JSON.stringify(object, null, 1)};\n`;
    writeFileSync(join(checked, `object${number}.ts`), text);
  });
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

async function validate(object) {
  const model = await import(`${models}/${object.apiVersion}/${object.kind}`);
  try {
    new model[object.kind](object).validate();
    return '';
  } catch (failure) {
    return failure.message;
  }
}

// One mistake each. Those above the line are the validators' to find, those below the types'.
const mistakes = [
  ['ServiceMonitor', (spec) => { spec.endpoints[0].interval = 'often'; }],
  ['ServiceMonitor', (spec) => { spec.endpoints[0].relabelings[0].action = 'remove'; }],
  ['ServiceMonitor', (spec) => { delete spec.selector; }],
  ['ServiceMonitor', (spec) => { delete spec.endpoints; }],
  ['PrometheusRule', (spec) => { spec.groups[0].interval = 15; }],
  ['PrometheusRule', (spec) => { delete spec.groups[0].name; }],
  ['PrometheusRule', (spec) => { delete spec.groups[0].rules[0].expr; }],
  ['Probe', (spec) => { delete spec.prober.url; }],
  ['ScrapeConfig', (spec) => { spec.scrapeInterval = '15'; }],
  // ---
  ['ServiceMonitor', (spec) => { spec.endpoints[0].metricRelabellings = []; }],
  ['ServiceMonitor', (spec) => { spec.endpoints[0].relabelings[0].target_label = 'job'; }],
  ['ServiceMonitor', (spec) => { spec.selector.matchLabel = {}; }],
  ['PrometheusRule', (spec) => { spec.groups[0].rules[0].label = {}; }],
  ['PrometheusRule', (spec) => { spec.group = []; }],
  ['Probe', (spec) => { spec.targets.static = []; }],
  ['Probe', (spec) => { spec.modules = 'http_2xx'; }],
  ['ScrapeConfig', (spec) => { spec.staticConfigs[0].target = []; }],
  ['ScrapeConfig', (spec) => { spec.honor_labels = true; }],
];

const objects = JSON.parse(readFileSync(join(checked, 'operator.json'), 'utf8'));
for (const { where, object } of objects) {
  const told = await validate(object);
  if (told) {
    console.error(`${where}: ${told}`);
    process.exitCode = 1;
  }
}
const told = compile(objects);
if (told) {
  console.error(told.replace(/object(\d+)\.ts/g, (_, number) => objects[number].where));
  process.exitCode = 1;
}
if (process.exitCode) {
  process.exit();
}
const { version } = JSON.parse(readFileSync(join(here, 'node_modules', models, 'package.json'), 'utf8'));
console.log(`${objects.length} objects: as the Prometheus Operator has them (${models} ${version})`);

const spoilt = mistakes.map(([kind, spoil]) => {
  const object = structuredClone(objects.find((each) => each.object.kind === kind).object);
  spoil(object.spec);
  return { where: `${kind}: ${spoil}`, object };
});
const compiled = compile(spoilt);
const missed = [];
for (const [number, { where, object }] of spoilt.entries()) {
  if (!compiled.includes(`object${number}.ts`) && !(await validate(object))) {
    missed.push(where);
  }
}
rmSync(checked, { recursive: true });
if (missed.length > 0) {
  console.error(`not noticed:\n${missed.join('\n')}`);
  process.exit(1);
}
console.log(`${spoilt.length} mistakes put in: each was noticed`);
