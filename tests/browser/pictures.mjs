// Makes the screenshots of docs/images anew: ./run --pictures

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { browser, open } from './browser.mjs';
import { exporter, until } from './exporter.mjs';
import { prometheus } from './prometheus.mjs';
import { STATES, customers, everything } from './scenes.mjs';
import { site } from './site.mjs';
import { statusSite } from './status_site.mjs';

const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const [chrome, watched] = await Promise.all([browser(), site()]);
const { config, files } = everything(watched, 60, { hostile: false });
const running = await exporter(config, { files });
const down = [...STATES.down, ...STATES.shared, ...STATES.explained, ...STATES.maintenance].filter((name) => name !== 'hostile');
await until('what is to be down is down, and for one cause', async () => {
  const { targets } = await running.json('/api/v1/targets');
  const seen = targets.filter((target) => target.verdict === 'down').map((target) => target.name);
  const rack = await running.json(`/api/v1/targets/${STATES.shared[0]}`);
  return (down.every((name) => seen.includes(name)) && rack.shared_cause != null) || seen;
});
const served = await exporter(customers(watched), { files: { 'notices.json': '[]' } });
const history = await prometheus([served.url]);
const status = await statusSite(history.url, {
  name: 'Example', url: 'https://status.example.com/', shortest_incident: '1s', latency: true,
  group_label: 'group', groups: [{ value: 'core', name: 'Products' }, { value: 'more', name: 'More' }],
});
watched.break('search');
served.write('notices.json', JSON.stringify([{
  targets: ['internal-Search'], cause: 'A disk of the index is full.', action: 'We are moving the index to a larger one.',
  next_update: new Date(Date.now() + 1_800_000).toISOString().slice(0, 19) + 'Z',
}]));
await until('the words are on the site', () => status.json().incidents.some((one) => one.cause) || status.json().incidents);

for (const [name, path, width, scheme, height] of [
  ['status-light', status.url, 1440, 'light', 1400],
  ['status-dark', status.url, 1440, 'dark', 1400],
  ['status-phone', status.url, 390, 'light', 844],
  ['operators-light', '/', 1440, 'light', 1100],
  ['operators-dark', '/', 1440, 'dark', 1100],
  ['operators-phone', '/', 390, 'dark', 844],
  ['target-light', '/targets/expired', 1440, 'light', 1500],
  ['target-dark', '/targets/expired', 1440, 'dark', 1500],
  ['target-phone', '/targets/timeout', 390, 'light', 844],
]) {
  const view = await open(chrome, new URL(path, running.url).href, { width, scheme });
  await view.page.setViewportSize({ width, height });
  const file = `${folder}${name}.png`;
  await view.page.screenshot({ path: file });
  try {
    execFileSync('pngquant', ['--force', '--output', file, '64', file]);
  } catch {
    // It only makes them smaller.
  }
  console.log(file);
  await view.close();
}
await chrome.close();
await status.stop();
await history.stop();
await served.stop();
await running.stop();
await watched.stop();
