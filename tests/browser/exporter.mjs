// The real exporter in a folder of its own, on a port of its own.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.UPTIME_EXPORTER;

/** Starts it with this config (an object), and returns once it listens. */
export async function exporter(config, { files = {}, flags = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'uptime_exporter.browser.'));
  const write = (name, text) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  // JSON is YAML. A dollar sign before a brace would be a variable, and there is none.
  write('config.yaml', JSON.stringify(config));
  for (const [name, text] of Object.entries(files)) write(name, text);
  const args = ['--config.file=config.yaml', '--web.listen-address=127.0.0.1:0', ...flags];
  const child = spawn(BINARY, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // A test that fails halfway leaves none behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const log = [];
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (log.push(line) > 1000) log.shift();
      const found = /Listening.*(127\.0\.0\.1:\d+)/.exec(line);
      if (found) resolve(found[1]);
    });
    ended.then((code) => reject(new Error(`the exporter ended with ${code}:\n${log.join('\n')}`)));
  });
  const url = `http://${address}`;
  return {
    url,
    write,
    log,
    json: async (path) => (await fetch(url + path)).json(),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Asks again until it is so; says what was seen last when it never is. */
export async function until(what, ask, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await ask();
    if (seen === true) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
