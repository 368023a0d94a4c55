// What a reader chose, kept in this browser, and the texts in the language that was chosen. Storage may be forbidden: then a choice lasts as
// long as the page. A text that is missing shows its key, so that it is seen; a test compares the languages.

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

const loaded = signal({});
const plurals = new Map();

/** Loads the texts of the chosen language, and again whenever another one is chosen. */
export async function startTexts(base) {
  let first;
  effect(() => {
    const wanted = language.value;
    globalThis.document?.documentElement.setAttribute('lang', wanted);
    const arrived = fetch(new URL(`i18n/${wanted}.json`, base))
      .then((answer) => answer.json())
      .then((texts) => {
        if (language.peek() === wanted) loaded.value = texts;
      });
    first ??= arrived;
  });
  await first;
}

/** Sets the texts, for tests. */
export function useTexts(texts) {
  loaded.value = texts;
}

/** The text of a key with its values put in. `count` chooses among the forms of a plural. */
export function t(key, values = {}) {
  let text = loaded.value[key];
  if (text && typeof text === 'object') text = text[form(values.count)] ?? text.other;
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The text of a key that data chose, such as a state: what is unknown is shown as it came. */
export function term(group, word) {
  if (word === null || word === undefined || word === '') return '';
  const key = `${group}.${word}`;
  return key in loaded.value ? t(key) : String(word);
}

function form(count) {
  let rules = plurals.get(language.value);
  if (!rules) {
    rules = new Intl.PluralRules(language.value);
    plurals.set(language.value, rules);
  }
  return rules.select(Number(String(count ?? 0).replace(/\D/g, '')));
}
