'use strict';
// Buttons that copy the text of an element. navigator.clipboard is there with https and on localhost alone.
(() => {
const copy = async (source) => {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand('copy');
  }
};
for (const button of document.querySelectorAll('button[data-copy]')) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) continue;
  const told = document.createElement('span');
  told.setAttribute('role', 'status');
  button.after(' ', told);
  button.hidden = false;
  button.parentNode.dataset.keep = '';
  button.addEventListener('click', async () => {
    told.textContent = await copy(source) ? 'Copied.' : 'It is marked; copy it with the keyboard.';
    setTimeout(() => { told.textContent = ''; }, 4000);
  });
}
})();

// Keeps a page fresh: asks for it again and changes only what differs, so that focus, scroll, selection, opened
// details and text being typed stay as they are.
(() => {
const main = document.querySelector('main[data-refresh]');
const live = document.getElementById('live'), stale = document.getElementById('stale');
if (!main || !live || !stale || !window.fetch || !window.DOMParser) return;
const every = main.dataset.refresh * 1000;
let answered = Date.now(), paused = false, busy = false, failed = '', timer = 0;

const words = document.createElement('span');
const button = document.createElement('button');
button.type = 'button';
live.append(words, ' ', button);
live.hidden = false;

const key = (node) => node.nodeType !== 1 ? '' :
  node.id || node.getAttribute('data-target') || node.getAttribute('data-key') || '';

const morph = (from, to) => {
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.hasAttribute('data-keep') || from.isEqualNode(to)) return;
  for (const {name} of [...from.attributes])
    if (name !== 'open' && !to.hasAttribute(name)) from.removeAttribute(name);
  for (const {name, value} of to.attributes)
    if (name !== 'open' && from.getAttribute(name) !== value) from.setAttribute(name, value);
  const keyed = new Map();
  for (const child of from.children) if (key(child)) keyed.set(key(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    let have = key(wanted) ? keyed.get(key(wanted)) : at;
    while (have && !key(wanted) && key(have)) have = have.nextSibling;
    if (have && have.nodeName === wanted.nodeName) {
      if (have === at) at = at.nextSibling;
      else from.insertBefore(have, at);
      morph(have, wanted);
    } else from.insertBefore(document.importNode(wanted, true), at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

const apply = (page, fresh) => {
  const active = document.activeElement;
  // What is at the top of the window stays there, but for somebody who looks at the top of the page.
  const seen = scrollY > 0 && [...main.querySelectorAll('[data-target],[data-key],h2')]
    .find((element) => element.getBoundingClientRect().bottom > 0);
  const before = seen && seen.getBoundingClientRect().top;
  morph(main, fresh);
  const foot = document.querySelector('footer'), freshFoot = page.querySelector('footer');
  if (foot && freshFoot) morph(foot, freshFoot);
  document.title = page.title;
  if (active && active !== document.activeElement && active.isConnected) active.focus({preventScroll: true});
  if (seen && seen.isConnected) {
    const moved = seen.getBoundingClientRect().top - before;
    if (moved) scrollBy({top: moved, behavior: 'instant'});
  }
};

const span = (seconds) => seconds < 60 ? seconds + ' s' : seconds < 3600 ?
  Math.floor(seconds / 60) + ' min ' + seconds % 60 + ' s' :
  Math.floor(seconds / 3600) + ' h ' + Math.floor(seconds / 60) % 60 + ' min';

const tell = () => {
  const age = span(Math.max(0, Math.round((Date.now() - answered) / 1000)));
  words.textContent = paused ? `Paused; what is shown is ${age} old.` :
    failed ? `What is shown is ${age} old.` : `Updated ${age} ago.`;
  button.textContent = paused ? 'Go on' : 'Pause';
  const alarm = failed && `${failed} What is shown below was so at ${
    new Date(answered).toISOString().slice(11, 19)} UTC.`;
  if (stale.textContent !== alarm) stale.textContent = alarm;
  stale.hidden = !failed;
};

const refresh = async () => {
  clearTimeout(timer);
  if (paused || busy || document.hidden) return;
  busy = true;
  const began = Date.now();
  const given = new AbortController();
  const limit = setTimeout(() => given.abort(), 10000);
  try {
    const answer = await fetch(location.pathname + location.search, {cache: 'no-store', signal: given.signal});
    if (!answer.ok) throw new Error(answer.status === 404 ? 'This is not in the config any more.' :
      `The exporter answers with status ${answer.status}.`);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const fresh = page.querySelector('main[data-refresh]');
    if (!fresh) throw new Error('Another page came.');
    const selected = getSelection();
    // Somebody who is about to copy something gets the news a bit later.
    if (!paused && (!selected || selected.isCollapsed || !main.contains(selected.anchorNode))) {
      apply(page, fresh);
      answered = Date.now();
    }
    failed = '';
  } catch (error) {
    failed = error.name === 'AbortError' ? 'The exporter no longer answers (no answer in 10 s).' :
      error instanceof TypeError ? `The exporter no longer answers (${error.message}).` : error.message;
  }
  clearTimeout(limit);
  busy = false;
  tell();
  // A page that takes long to make is asked for less often.
  timer = setTimeout(refresh, Math.max(every, 10 * (Date.now() - began)));
};

button.addEventListener('click', () => {
  paused = !paused;
  tell();
  refresh();
});
document.addEventListener('visibilitychange', () => {
  tell();
  refresh();
});
setInterval(() => document.hidden || tell(), 1000);
timer = setTimeout(refresh, every);
tell();
})();
