// Where the dashboard begins: texts, who is asking, then the shell with the page of the address.

import '@preact/signals';
import { effect } from '@preact/signals-core';
import { render } from 'preact';
import { ask, forgetAnswers } from './store/api.js';
import { startTexts, theme } from './store/i18n.js';
import { live } from './store/live.js';
import { path, startRouter } from './store/route.js';
import { key, me, needsKey, useKey } from './store/session.js';
import { startClock } from './store/time.js';
import { html } from './parts/html.js';
import { startKeys } from './parts/keys.js';
import { say } from './parts/panel.js';
import { startCopying } from './parts/values.js';
import { PAGES, pageOf, Shell } from './shell.js';

/** Asks who we are; without a right answer the page asks for a key. */
async function identify() {
  try {
    me.value = await ask('/me');
    needsKey.value = false;
  } catch (problem) {
    // What is not there yet is no reason to stand still: each page says what it lacks.
    needsKey.value = problem.status === 401;
    me.value = needsKey.value ? null : { name: '', role: '', scopes: [] };
  }
}

/** A key in the fragment of the address, as `demo` prints it: taken, and removed from the address. */
function takeKeyOfAddress() {
  const found = /^#key=(ci_[\w-]+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  useKey(found[1]);
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

takeKeyOfAddress();
startClock();
startRouter();
startKeys(PAGES);
startCopying(say);
live.start();
// It arrives while we are told who we are.
pageOf(path.peek()).page?.load().catch(() => {});
let known = key.peek();
effect(() => {
  if (key.value === known) return;
  known = key.value;
  forgetAnswers();
  identify();
  live.restart();
});
await Promise.all([startTexts(new URL('.', import.meta.url)), identify()]);
render(html`<${Shell} />`, document.getElementById('app'));
document.documentElement.dataset.ready = 'yes';
