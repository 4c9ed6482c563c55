// `uptime_exporter status`, running, and its folder behind a web server.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

import { until } from './exporter.mjs';

const KINDS = { '.html': 'text/html', '.json': 'application/json', '.svg': 'image/svg+xml', '.xml': 'application/atom+xml', '.ics': 'text/calendar' };

/** Writes the site every second from what Prometheus has, with these settings, and serves it. */
export async function statusSite(prometheus, settings) {
  const folder = mkdtempSync(join(tmpdir(), 'uptime_exporter.browser.'));
  const output = join(folder, 'site');
  writeFileSync(join(folder, 'status.yaml'), JSON.stringify(settings));
  const args = ['status', `--prometheus=${prometheus}`, `--config=${join(folder, 'status.yaml')}`, `--output=${output}`, '--every=1s'];
  const child = spawn(process.env.UPTIME_EXPORTER, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.once('exit', () => child.kill('SIGKILL'));
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://site').pathname);
    const file = join(output, path.endsWith('/') ? `${path}index.html` : path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': KINDS[extname(file)] ?? 'text/plain' });
    return response.end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const json = () => (existsSync(join(output, 'status.json')) ? JSON.parse(readFileSync(join(output, 'status.json'), 'utf8')) : null);
  await until('the site is written', () => json()?.current === true || json(), 90);
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    json,
    /** Every file with its text. */
    files: () => readdirSync(output, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(output, name)).isFile())
      .map((name) => [name, readFileSync(join(output, name), 'utf8')]),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}
