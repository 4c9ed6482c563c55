// The operators' page, walked as they walk it: look, filter, group, leave it open, go on by keyboard, copy.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { browser, open, soundPage } from './browser.mjs';
import { exporter, until } from './exporter.mjs';
import { STATES, everything } from './scenes.mjs';
import { HOSTILE, site } from './site.mjs';

let chrome;
let watched;
let running;

before(async () => {
  [chrome, watched] = await Promise.all([browser(), site()]);
  const { config, files } = everything(watched);
  running = await exporter(config, { files });
  const down = [...STATES.down, ...STATES.shared, ...STATES.explained, ...STATES.maintenance];
  await until('what is to be down is down, and for one cause', async () => {
    const { targets } = await running.json('/api/v1/targets');
    const seen = targets.filter((target) => target.verdict === 'down').map((target) => target.name);
    const rack = await running.json(`/api/v1/targets/${STATES.shared[0]}`);
    return (down.every((name) => seen.includes(name)) && rack.shared_cause != null) || seen;
  });
});

after(async () => {
  await chrome.close();
  await running.stop();
  await watched.stop();
});

const rows = (page) => page.locator('#targets [data-target]').evaluateAll((all) => all.map((row) => row.dataset.target));

describe('what is wrong comes first', () => {
  test('in one sentence, in the title too', async () => {
    const view = await open(chrome, running.url, { width: 390 });
    const headline = await view.page.locator('#headline').innerText();
    assert.match(headline, /^\d+ outages, 1 shared cause.*; \d+ up.*, 1 in maintenance/);
    assert.ok((await view.page.title()).startsWith(headline));
    const { y } = await view.page.locator('#headline').boundingBox();
    assert.ok(y < 200, `at a glance on a phone: ${y} px from the top`);
    await view.close();
  });

  test('outages say since when, why, and what is being done', async () => {
    const view = await open(chrome, running.url);
    const outages = await view.page.locator('#outages').innerText();
    for (const said of ['Search', 'A disk of the index is full.', 'We are moving the index to a larger one.', 'the status is 503',
      'tls_expired', 'dns_nxdomain', 'behind-the-gateway', '127.0.7.1']) {
      assert.ok(outages.includes(said), `${said}:\n${outages}`);
    }
    // Somebody works on it, so it is no outage.
    assert.ok(!outages.includes('works'), outages);
    await view.close();
  });

  test('nothing from outside is markup, and a turned text is seen to be one', async () => {
    const view = await open(chrome, `${running.url}/targets/hostile`);
    const text = await view.page.locator('main').innerText();
    assert.ok(text.includes(HOSTILE.slice(0, 40)), text);
    assert.equal(await view.page.locator('main img, main script').count(), 0);
    assert.ok(!text.includes('\u202e'), 'an override of the direction reaches the page');
    await soundPage(view, 'hostile');
    await view.close();
  });
});

for (const scripts of [true, false]) {
  describe(`the list, ${scripts ? 'with' : 'without'} scripts`, () => {
    test('is filtered by text, state and label, and the URL says so', async () => {
      const view = await open(chrome, running.url, { scripts });
      const { page } = view;
      await page.locator('#filter input[name=q]').fill('rack');
      await Promise.all([page.waitForURL(/q=rack/), page.locator('#filter button').first().click()]);
      assert.deepEqual((await rows(page)).sort(), STATES.shared);

      await page.goto(`${running.url}/?state=maintenance`);
      assert.deepEqual(await rows(page), STATES.maintenance);
      await page.goto(`${running.url}/?label=team:shop&q=door`);
      assert.deepEqual((await rows(page)).sort(), ['back-door', 'front-door']);
      await page.goto(`${running.url}/?q=no-such-thing-anywhere`);
      assert.deepEqual(await rows(page), []);
      assert.match(await page.locator('main').innerText(), /0 of 200 targets|no target/i);
      await view.close();
    });

    test('is grouped by a label', async () => {
      const view = await open(chrome, `${running.url}/?group=team`, { scripts });
      const text = await view.page.locator('#targets').innerText();
      for (const team of ['rack', 'network', 'mail']) assert.ok(text.includes(team), team);
      await view.close();
    });

    test('a query that is not understood is not passed over', async () => {
      const answer = await fetch(`${running.url}/?state=broken&colour=red`);
      assert.equal(answer.status, 400);
      assert.match(await answer.text(), /broken/);
    });
  });
}

describe('left open', () => {
  test('it shows what happens, and stays where one is', async () => {
    const view = await open(chrome, `${running.url}/?q=door`);
    const { page } = view;
    const back = page.locator('#targets [data-target="front-door"]');
    await back.waitFor();
    const field = page.locator('#filter input[name=q]');
    await field.fill('half a word');
    watched.break('front');
    await page.waitForFunction(() => /1 outage/.test(document.querySelector('#headline').textContent), null, { timeout: 60_000 });
    assert.ok((await page.title()).startsWith('1 outage'), await page.title());
    assert.equal(await field.inputValue(), 'half a word');
    assert.ok(await field.evaluate((element) => element === document.activeElement), 'the focus went elsewhere');
    assert.match(await page.locator('#outages').innerText(), /502/);
    watched.mend('front');
    await page.waitForFunction(() => /^No outages/.test(document.querySelector('#headline').textContent), null, { timeout: 60_000 });
    await soundPage(view, 'left open');
    await view.close();
  });

  test('it says when the exporter is gone', async () => {
    const { config, files } = everything(watched, 30);
    const second = await exporter(config, { files });
    const view = await open(chrome, second.url);
    await second.stop();
    await view.page.locator('#stale').waitFor({ state: 'visible', timeout: 60_000 });
    assert.match(await view.page.locator('#stale').innerText(), /no longer answers/);
    await view.close();
  });
});

describe('by keyboard', () => {
  test('the first key leads to what matters, and every stop is seen', async () => {
    const view = await open(chrome, running.url);
    const { page } = view;
    await page.keyboard.press('Tab');
    assert.match(await page.evaluate(() => document.activeElement.textContent), /skip|content/i);
    await page.keyboard.press('Enter');
    for (let stop = 0; stop < 12; stop += 1) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return { what: document.activeElement.outerHTML.slice(0, 80), outline: style.outlineStyle, width: style.outlineWidth };
      });
      assert.ok(seen.outline !== 'none' && seen.width !== '0px', `no focus is seen on ${seen.what}`);
    }
    await view.close();
  });

  test('from an outage to its page, its runbook and back', async () => {
    const view = await open(chrome, running.url);
    const { page } = view;
    await page.locator('#outages a[href*="targets/expired"]').first().focus();
    await Promise.all([page.waitForURL(/targets\/expired/), page.keyboard.press('Enter')]);
    await page.locator('a[href*="runbooks/tls_expired"]').first().focus();
    await Promise.all([page.waitForURL(/runbooks\/tls_expired/), page.keyboard.press('Enter')]);
    assert.match(await page.locator('h1').innerText(), /tls_expired/);
    await page.getByRole('link', { name: 'Targets' }).first().focus();
    await Promise.all([page.waitForURL(/\/$/), page.keyboard.press('Enter')]);
    await view.close();
  });
});

describe('the page of a target', () => {
  test('the summary for the ticket is copied by one button', async () => {
    const view = await open(chrome, `${running.url}/targets/expired`, { permissions: ['clipboard-read', 'clipboard-write'] });
    const { page } = view;
    await page.locator('button[data-copy]').click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied.trim(), (await page.locator('#summary pre, pre#summary').first().innerText()).trim());
    assert.match(copied, /tls_expired/);
    await view.close();
  });

  test('is read on a phone without a scroll to the side, however it fails', async () => {
    const view = await open(chrome, `${running.url}/targets/timeout`, { width: 390 });
    const height = await view.page.evaluate(() => document.documentElement.scrollHeight);
    assert.ok(height < 6_000, `${height} px tall`);
    await soundPage(view, 'timeout');
    await view.close();
  });

  test('the end of the certificate is not hidden', async () => {
    const view = await open(chrome, `${running.url}/targets/ending`, { width: 390 });
    assert.match(await view.page.locator('#now').innerText(), /certificate[\s\S]*4 d|4 d[\s\S]*certificate/i);
    await view.close();
  });
});
