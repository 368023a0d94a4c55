// What a reader chose, kept in this browser. Storage may be forbidden: then a choice lasts as long as the page.

import { effect, signal } from '@preact/signals-core';

const NAME = 'crypto-intel.';
export const LANGUAGES = ['en', 'es'];

function stored(name) {
  try {
    return globalThis.localStorage?.getItem(NAME + name) ?? null;
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    globalThis.localStorage?.setItem(NAME + name, value);
  } catch {
    // A full or forbidden storage only costs the memory of the choice.
  }
}

/** A signal whose value is one of those allowed; an address (`?lang=es`) goes before what is kept. */
function setting(name, allowed, fallback) {
  const asked = new URLSearchParams(globalThis.location?.search ?? '').get(name);
  const first = [asked, stored(name), fallback].find((value) => allowed.includes(value));
  const made = signal(first);
  let known = stored(name);
  effect(() => {
    if (made.value === known || (known === null && made.value === fallback)) return;
    known = made.value;
    store(name, known);
  });
  return made;
}

function preferred() {
  const wanted = (globalThis.navigator?.languages ?? []).map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

export const language = setting('lang', LANGUAGES, preferred());
export const theme = setting('theme', ['auto', 'light', 'dark'], 'auto');
/** How times are shown: UTC, local, or with their age. */
export const clock = setting('time', ['utc', 'local', 'age'], 'utc');
/** Shortcuts of one letter: they can be switched off (WCAG 2.1.4). */
export const shortcuts = setting('keys', ['on', 'off'], 'on');
