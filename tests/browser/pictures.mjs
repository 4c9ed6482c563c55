// Makes the screenshots of docs/images anew: ./run --pictures

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { browser, open } from './browser.mjs';
import { exporter, until } from './exporter.mjs';
import { STATES, everything } from './scenes.mjs';
import { site } from './site.mjs';

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
for (const [name, path, width, scheme, height] of [
  ['operators-light', '/', 1440, 'light', 1100],
  ['operators-dark', '/', 1440, 'dark', 1100],
  ['operators-phone', '/', 390, 'dark', 844],
  ['target-light', '/targets/expired', 1440, 'light', 1500],
  ['target-dark', '/targets/expired', 1440, 'dark', 1500],
  ['target-phone', '/targets/timeout', 390, 'light', 844],
]) {
  const view = await open(chrome, running.url + path, { width, scheme });
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
await running.stop();
await watched.stop();
