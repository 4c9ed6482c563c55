// Every page, at every width, in both schemes: what all of them are held to.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SCHEMES, WIDTHS, browser, findings, open, soundPage } from './browser.mjs';
import { exporter, until } from './exporter.mjs';
import { STATES, crowd, everything, one } from './scenes.mjs';
import { site } from './site.mjs';

let chrome;
let watched;

before(async () => {
  [chrome, watched] = await Promise.all([browser(), site()]);
});

after(async () => {
  await chrome.close();
  await watched.stop();
});

/** Each path at each width and in each scheme; `each` looks further. */
async function look(url, paths, each = () => {}) {
  for (const path of paths) {
    for (const scheme of SCHEMES) {
      for (const width of WIDTHS) {
        const view = await open(chrome, url + path, { width, scheme });
        const what = `${path} at ${width} px, ${scheme}`;
        await soundPage(view, what);
        // Colours are the scheme's, structure is the width's: the widest and the narrowest show all there is.
        if (width !== 768) assert.deepEqual(await findings(view.page), [], what);
        await each(view, what);
        await view.close();
      }
    }
  }
}

describe('one target', () => {
  let running;
  before(async () => {
    running = await exporter(one(watched));
    await until('it is up', async () => (await running.json('/api/v1/targets')).targets[0].verdict === 'up');
  });
  after(() => running.stop());

  test('its pages are sound', () => look(running.url, ['/', '/targets/shop', '/runbooks/']));
});

describe('every state among two hundred targets', () => {
  let running;
  before(async () => {
    const { config, files } = everything(watched);
    running = await exporter(config, { files });
    const down = [...STATES.down, ...STATES.shared, ...STATES.explained, ...STATES.maintenance];
    await until('what is to be down is down', async () => {
      const { targets } = await running.json('/api/v1/targets');
      const seen = targets.filter((target) => target.verdict === 'down').map((target) => target.name);
      return down.every((name) => seen.includes(name)) || down.filter((name) => !seen.includes(name));
    });
  });
  after(() => running.stop());

  test('the list is sound', () => look(running.url, ['/', '/?state=down', '/?group=team']));

  test('the pages of targets are sound', () =>
    look(running.url, ['timeout', 'status', 'expired', 'hostile', 'ending', 'rack-1', 'works'].map((name) => `/targets/${name}`)));

  test('runbooks are sound', () => look(running.url, ['/runbooks/', '/runbooks/tls_expired', '/runbooks/shared-outage']));

  test('what is not there is a page too', () => look(running.url, ['/no-such-page']));
});

describe('ten thousand targets', () => {
  let running;
  before(async () => {
    running = await exporter(crowd(watched));
  });
  after(() => running.stop());

  test('the first page is small, and sound', async () => {
    const answer = await fetch(running.url);
    const { length } = await answer.text();
    assert.ok(length < 200_000, `${length} bytes`);
    await look(running.url, ['/']);
  });
});
