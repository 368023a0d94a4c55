// What is told beside the page: short notices for eyes, and one region for screen readers.

import { signal } from '@preact/signals-core';
import { html } from './html.js';

const notice = signal(null);
const spoken = signal('');
const SPEAK_MS = 10_000;
let last = 0;
let waiting = null;

/** Shows a notice for a moment. */
export function say(text) {
  notice.value = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    notice.value = null;
  }, 2500);
}

/** Has a screen reader speak, at most every ten seconds; later texts replace those that wait. */
export function speak(text) {
  clearTimeout(waiting);
  const wait = Math.max(0, last + SPEAK_MS - Date.now());
  waiting = setTimeout(() => {
    last = Date.now();
    spoken.value = text;
  }, wait);
}

export function Say() {
  return html`<div class="hidden" role="status" aria-live="polite">${spoken.value || notice.value}</div>
    ${notice.value && html`<div class="notice" aria-hidden="true">${notice.value}</div>`}`;
}
