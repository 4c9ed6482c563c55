// Chromium, and what every page is held to: no console message, no refused resource, nothing sideways, no finding of axe.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Phone, tablet, desk. */
export const WIDTHS = [390, 768, 1440];
export const SCHEMES = ['light', 'dark'];

export async function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // As root in a container there is no sandbox to have. The rest keeps it from calling home.
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

/** A page that remembers what it complained of. */
export async function open(chrome, url, { width = 1440, scheme = 'light', scripts = true, permissions = [] } = {}) {
  const context = await chrome.newContext({
    viewport: { width, height: width < 500 ? 844 : 900 },
    colorScheme: scheme,
    javaScriptEnabled: scripts,
    reducedMotion: 'reduce',
    permissions,
  });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    // That a page is not there is for the page to say.
    if (message.location().url === url && message.text().startsWith('Failed to load resource')) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error}`));
  page.on('requestfailed', (request) => complaints.push(`request: ${request.url()} ${request.failure()?.errorText}`));
  const elsewhere = [];
  page.on('request', (request) => {
    if (!request.url().startsWith('data:') && new URL(request.url()).origin !== new URL(url).origin) elsewhere.push(request.url());
  });
  const answer = await page.goto(url, { waitUntil: 'load' });
  return { page, answer, complaints, elsewhere, close: () => context.close() };
}

/** Holds a page that is open to what all pages must be. */
export async function soundPage({ page, complaints, elsewhere }, what) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    return { width, scroll: document.documentElement.scrollWidth };
  });
  assert.ok(wide.scroll <= wide.width, `${what}: ${wide.scroll} px wide in a window of ${wide.width} px`);
  assert.deepEqual(complaints, [], what);
  assert.deepEqual(elsewhere, [], `${what}: asks others`);
  assert.equal(await page.evaluate(() => window.planted), undefined, `${what}: a planted script ran`);
}

/** Every finding of axe-core, in short. */
export async function findings(page) {
  // The page's own policy lets no script in; a debugger's evaluation is not bound by it.
  await page.evaluate(AXE);
  const result = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return result.violations.map(({ id, help, nodes }) => ({
    id, help, nodes: nodes.slice(0, 3).map((node) => `${node.target.join(' ')}: ${node.failureSummary}`),
  }));
}
