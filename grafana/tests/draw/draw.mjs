// Draws the dashboards with Grafana's own code, and holds them to what they should read.
//
//   node draw.mjs FOLDER [PICTURES]
//
// FOLDER has what Prometheus answered (queries.py --keep FOLDER). With PICTURES, a folder, the pictures are written there.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import UPNG from 'upng-js';
import { bundle, here } from './bundle.mjs';
import { anyway, faults, leaks, wrong } from './readings.mjs';

const [folder, pictures] = process.argv.slice(2);
const ICONS = join(here, 'node_modules', '@grafana', 'ui', 'dist', 'public', 'img', 'icons');
const FONTS = join(here, 'node_modules', '@fontsource', 'inter', 'files');
const WEIGHTS = { Regular: 400, Medium: 500 };
const WIDE = 1440;
const LOOKS = { light: ['light', WIDE], dark: ['dark', WIDE], phone: ['light', 390] };

// Dashboards that are looked at on a phone: their pictures are kept too.
const PHONES = ['uptime-overview', 'uptime-status'];

// What each panel says, from the DOM: the cells of tables, the lines of the rest, and texts that have no room.
function read() {
  const lines = (element) => element.innerText.split('\n').map((line) => line.trim()).filter(Boolean);
  return [...document.querySelectorAll('[data-panel]')].map((section) => {
    const said = { panel: section.dataset.panel, lines: lines(section) };
    const grid = section.querySelector('[role=grid]');
    if (grid) {
      said.columns = [...grid.querySelectorAll('[role=columnheader]')].map((cell) => cell.innerText.trim());
      said.rows = [...grid.querySelectorAll('[role=row]')].map((row) =>
        [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.innerText.trim())).filter((cells) => cells.length > 0);
      said.cut = [...grid.querySelectorAll('[role=gridcell],[role=columnheader]')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1)
        .map((cell) => cell.innerText.trim());
    }
    said.spans = [...section.querySelectorAll('.lane')].map((lane) => ({
      name: lane.querySelector('.name').innerText, values: [...lane.querySelectorAll('[data-value]')].map((span) => span.dataset.value),
    }));
    return said;
  });
}

// Nothing but the page: icons and the font are in packages.
function serve(route) {
  const { pathname } = new URL(route.request().url());
  if (pathname === '/') {
    const body = '<!doctype html><link rel=stylesheet href=/page.css><div id=root></div><script src=/page.js></script>';
    return route.fulfill({ contentType: 'text/html', body });
  }
  const icon = pathname.match(/img\/icons\/(.+)$/);
  const weight = pathname.match(/Inter-(\w+)\.woff2$/);
  const path = icon ? join(ICONS, icon[1]) : weight ? join(FONTS, `inter-latin-${WEIGHTS[weight[1]]}-normal.woff2`) : join(here, 'bundle', pathname);
  return route.fulfill({ path }).catch(() => route.abort());
}

// In 256 colours: half the size, and no eye tells.
function small(png) {
  const image = UPNG.decode(png);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, 256));
}

async function draw(context, drawing, look, picture) {
  const [mode, width] = LOOKS[look];
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.stack));
  page.on('console', (message) => message.type() === 'error' && errors.push(`${message.text()} ${message.location().url}`));
  // Now is when Prometheus was asked, not when it is drawn.
  await page.clock.setFixedTime(drawing.to * 1000);
  await page.goto('http://drawing.invalid/');
  // High enough for all of it: what is out of sight, Grafana does not draw.
  const height = await page.evaluate(([drawing, width]) => window.heightOf(drawing, width), [drawing, width]);
  await page.setViewportSize({ width, height: height + 100 });
  await page.evaluate(([drawing, mode, width]) => window.draw(drawing, mode, width), [drawing, mode, width]);
  await page.waitForSelector('[data-panel]');
  await page.waitForLoadState('networkidle');
  // Until two looks see the same: charts and legends lay themselves out after the first.
  await page.waitForFunction(() => {
    const now = document.body.innerText.length + document.querySelectorAll('*').length;
    const same = now === window.before;
    window.before = now;
    return same;
  }, undefined, { polling: 200 });
  if (picture) {
    writeFileSync(picture, small(await page.locator('.page').screenshot()));
  }
  const readings = await page.evaluate(read);
  await page.close();
  return { readings, errors };
}

async function main() {
  await bundle();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  const context = await browser.newContext();
  await context.route('**', serve);
  const problems = [];
  let held = 0;
  let drawn = 0;
  const drawings = Object.fromEntries(readdirSync(folder).filter((name) => name.endsWith('.json')).sort()
    .map((name) => [name.replace('.json', ''), JSON.parse(readFileSync(join(folder, name), 'utf8'))]));
  for (const [name, drawing] of Object.entries(drawings)) {
    for (const look of Object.keys(LOOKS).filter((look) => look !== 'dark' || pictures)) {
      if (pictures) {
        mkdirSync(pictures, { recursive: true });
      }
      const shown = pictures && (look !== 'phone' || PHONES.includes(name)) && !name.startsWith('uptime-target-');
      const picture = shown && join(pictures, `grafana-${name.replace('uptime-', '')}-${look}.png`);
      const { readings, errors } = await draw(context, drawing, look, picture);
      const told = wrong(name, readings);
      held += told.held;
      drawn += 1;
      const found = [...errors, ...anyway(drawing.board, readings, look !== 'phone'), ...told.found];
      if (drawing.board.uid === 'uptime-status') {
        found.push(...leaks(drawing, readings));
      }
      problems.push(...found.map((problem) => `${name}, ${look}: ${problem}`));
    }
  }
  if (problems.length > 0) {
    console.error(problems.join('\n'));
    process.exit(1);
  }
  console.log(`${drawn} pictures drawn with @grafana/ui; ${held} of their texts looked at`);

  for (const [fault, put] of Object.entries(faults)) {
    const board = structuredClone(drawings['uptime-overview'].board);
    put(board);
    const { readings } = await draw(context, { ...drawings['uptime-overview'], board }, 'light');
    if (anyway(board, readings, true).length === 0) {
      console.error(`not noticed: ${fault}`);
      process.exit(1);
    }
  }
  console.log(`${Object.keys(faults).length} faults put back: each was noticed`);
  await browser.close();
}

await main();
