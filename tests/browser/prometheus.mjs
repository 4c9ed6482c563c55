// A real Prometheus that scrapes exporters every second, with the shipped recording rules.

import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const RULES = fileURLToPath(new URL('../../alerting/prometheus/', import.meta.url));
const README = fileURLToPath(new URL('../../README.md', import.meta.url));

/** Starts it with the scrape job of the README, and returns once it listens. */
export async function prometheus(exporters) {
  const folder = mkdtempSync(join(tmpdir(), 'uptime_exporter.browser.'));
  const job = /<!-- prometheus:begin -->\n```yaml\n([\s\S]*?)```/.exec(readFileSync(README, 'utf8'))[1];
  const places = JSON.stringify(exporters.map((url) => new URL(url).host));
  const seconds = 'global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: ["*.rules.yml"]\n';
  writeFileSync(join(folder, 'prometheus.yml'), seconds + job.replace('["localhost:9815"]', places));
  for (const name of readdirSync(RULES).filter((file) => file.endsWith('.rules.yml'))) {
    copyFileSync(join(RULES, name), join(folder, name));
    const text = readFileSync(join(folder, name), 'utf8').replace(/^ {4}interval: \w+$/gm, '    interval: 1s');
    writeFileSync(join(folder, name), text);
  }
  execFileSync('promtool', ['check', 'config', join(folder, 'prometheus.yml')], { stdio: 'pipe' });
  const args = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:0'];
  const child = spawn('prometheus', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.once('exit', () => child.kill('SIGKILL'));
  const port = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      const found = /Listening on.*address=\S*?:(\d+)/.exec(line);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`Prometheus ended with ${code}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
