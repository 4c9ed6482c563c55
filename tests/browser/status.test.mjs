// The status site for customers, in an outage: what they see at each step, on every screen.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SCHEMES, WIDTHS, browser, findings, open, soundPage } from './browser.mjs';
import { exporter, until } from './exporter.mjs';
import { prometheus } from './prometheus.mjs';
import { customers } from './scenes.mjs';
import { site } from './site.mjs';
import { statusSite } from './status_site.mjs';

let chrome;
let watched;
let running;
let history;

before(async () => {
  [chrome, watched] = await Promise.all([browser(), site()]);
  running = await exporter(customers(watched), { files: { 'notices.json': '[]' } });
  history = await prometheus([running.url]);
});

after(async () => {
  await chrome.close();
  await history.stop();
  await running.stop();
  await watched.stop();
});

for (const language of ['en', 'de']) {
  describe(`in ${language === 'en' ? 'English' : 'German'}`, () => {
    let shown;
    before(async () => {
      shown = await statusSite(history.url, {
        name: 'Example', url: 'https://status.example.com/', language, latency: true, shortest_incident: '1s',
        group_label: 'group', groups: [{ value: 'core', name: 'Products' }, { value: 'more', name: 'More' }],
        links: [{ name: 'Help', url: 'https://www.example.com/help' }],
      });
      await until('the services are there', () => shown.json().services.length === 5 || shown.json().services);
    });
    after(() => shown.stop());

    /** The page at every width and in both schemes, as it is now. */
    async function look(what) {
      for (const path of ['/', '/history.html']) {
        for (const scheme of SCHEMES) {
          for (const width of WIDTHS) {
            const view = await open(chrome, shown.url + path, { width, scheme });
            await soundPage(view, `${what}: ${path} at ${width} px, ${scheme}`);
            if (width !== 768) assert.deepEqual(await findings(view.page), [], `${what}: ${path} at ${width} px, ${scheme}`);
            await view.close();
          }
        }
      }
    }

    const text = async (selector) => {
      const view = await open(chrome, shown.url, { scripts: false });
      const found = await view.page.locator(selector).innerText();
      await view.close();
      return found;
    };

    test('all is well, with maintenance under way and announced', async () => {
      await until('maintenance is on the site', () => shown.json().maintenance.length === 2 || shown.json().maintenance);
      const maintenance = await text('#maintenance');
      for (const service of ['Reports', 'Mail']) assert.ok(maintenance.includes(service), maintenance);
      assert.ok((await text('#services')).includes('Products'));
      await look('all is well');
    });

    test('an outage, the words of the operator, and its end', async () => {
      watched.break('search');
      await until('the outage is on the site', () => shown.json().incidents.some((one) => one.end === null) || shown.json().incidents);
      assert.ok((await text('#incidents')).includes('Search'));
      running.write('notices.json', JSON.stringify([{ targets: ['internal-Search'], cause: 'A disk is full.', action: 'We are adding another one.',
        next_update: '2100-01-01T12:00:00Z' }]));
      await until('the words are on the site', () => shown.json().incidents.some((one) => one.cause === 'A disk is full.') || shown.json().incidents);
      const incidents = await text('#incidents');
      for (const words of ['A disk is full.', 'We are adding another one.', '2100']) assert.ok(incidents.includes(words), incidents);
      await look('an outage');
      watched.mend('search');
      running.write('notices.json', '[]');
      await until('the end is on the site', () => shown.json().incidents.every((one) => one.end !== null) || shown.json().incidents);
      assert.ok((await text('#history')).includes('A disk is full.'));
      await look('after the outage');
    });

    test('nothing internal reaches a file, and the page is small', () => {
      for (const [name, content] of shown.files()) {
        assert.ok(!content.includes('internal'), `${name} says what is internal`);
        for (const secret of ['127.0.0.1', 'http_status', '502', new URL(running.url).port]) {
          assert.ok(!content.includes(secret), `${name} has ${secret}`);
        }
        if (name === 'index.html') assert.ok(content.length < 100_000, `${content.length} bytes`);
      }
    });
  });
}

describe('without Prometheus', () => {
  test('the site does not say that all is well', async () => {
    const second = await prometheus([running.url]);
    const shown = await statusSite(second.url, { name: 'Example', url: 'https://status.example.com/' });
    await until('the services are there', () => shown.json().services.length === 5 || shown.json().services);
    await second.stop();
    await until('the site says that it does not know', () => shown.json().current === false || shown.json(), 60);
    const view = await open(chrome, shown.url, { width: 390 });
    assert.match(await view.page.locator('#headline').innerText(), /not known/i);
    await soundPage(view, 'without Prometheus');
    assert.deepEqual(await findings(view.page), []);
    await view.close();
    await shown.stop();
  });
});
