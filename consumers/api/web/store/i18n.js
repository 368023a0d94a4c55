// Texts by key. A missing key shows itself, so that it is seen; a test compares the languages.

import { effect, signal } from '@preact/signals-core';
import { language } from './settings.js';

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
