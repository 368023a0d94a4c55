// Where the dashboard begins: texts, who is asking, then the shell with the page of the address.

import '@preact/signals';
import { effect } from '@preact/signals-core';
import { render } from 'preact';
import { ask, forgetAnswers } from './store/api.js';
import { startTexts, theme } from './store/i18n.js';
import { live } from './store/live.js';
import { path, startRouter } from './store/route.js';
import { changes, enter, me, needsKey } from './store/session.js';
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

/** A code or key in the fragment of the address, as `keys login` prints it: removed from the address, and exchanged for a session. */
async function enterByAddress() {
  const found = /^#(?:code=(cl_[\w-]+)|key=(ci_[\w-]+))$/.exec(location.hash);
  if (!found) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  // One that does not count leads to the page that asks for a key.
  await enter({ code: found[1], key: found[2] }).catch(() => {});
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

const entering = enterByAddress();
startClock();
startRouter();
startKeys(PAGES);
startCopying(say);
live.start();
// It arrives while we are told who we are.
pageOf(path.peek()).page?.load().catch(() => {});
await entering;
let known = changes.peek();
effect(() => {
  if (changes.value === known) return;
  known = changes.value;
  forgetAnswers();
  identify();
  live.restart();
});
await Promise.all([startTexts(new URL('.', import.meta.url)), identify()]);
render(html`<${Shell} />`, document.getElementById('app'));
document.documentElement.dataset.ready = 'yes';
