// Both languages have the same keys and places for values; every key in the sources exists, and every key is used.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../web/', import.meta.url);
const texts = (language) => JSON.parse(readFileSync(new URL(`i18n/${language}.json`, root), 'utf8'));
const english = texts('en');
const spanish = texts('es');
const sources = ['', 'pages/', 'parts/', 'store/']
  .flatMap((folder) => readdirSync(new URL(folder || '.', root)).filter((name) => name.endsWith('.js')).map((name) => `${folder}${name}`))
  .map((name) => readFileSync(new URL(name, root), 'utf8'))
  .join('\n');

const places = (text) => {
  const forms = typeof text === 'string' ? [text] : Object.values(text);
  return [...new Set(forms.flatMap((form) => [...form.matchAll(/\{(\w+)\}/g)].map((found) => found[1])))].sort();
};

test('both languages have the same keys', () => {
  assert.deepEqual(Object.keys(spanish), Object.keys(english));
});

test('both languages have places for the same values', () => {
  for (const key of Object.keys(english)) assert.deepEqual(places(spanish[key]), places(english[key]), key);
});

test('every plural has a form for one and for others', () => {
  for (const language of [english, spanish]) {
    for (const [key, text] of Object.entries(language)) {
      if (typeof text === 'object') assert.deepEqual(Object.keys(text).sort(), ['one', 'other'], key);
    }
  }
});

const asked = [...sources.matchAll(/\bt\('([^']+)'/g)].map((found) => found[1])
  .concat([...sources.matchAll(/\bt\([^'`()]*\? '([^']+)' : '([^']+)'\)/g)].flatMap((found) => [found[1], found[2]]))
  .concat([...sources.matchAll(/\bt\([^'`()]*\? '([^']+)' : [^'`()]*\? '([^']+)' : '([^']+)'\)/g)].flatMap((found) => found.slice(1)))
  .concat([...sources.matchAll(/title: '(page\.[^']+)'/g)].map((found) => found[1]));
/** Keys whose end is data: `t(\`range.${one}\`)` and `term('kind', …)`. */
const groups = [...sources.matchAll(/\bt\(`([\w.]+)\$\{/g)].map((found) => found[1])
  .concat([...sources.matchAll(/\bterm\('([^']+)'/g)].map((found) => `${found[1]}.`));

test('every key that is asked for exists', () => {
  const missing = asked.filter((key) => !(key in english));
  assert.deepEqual([...new Set(missing)], []);
});

test('every key is asked for', () => {
  const unused = Object.keys(english).filter((key) => !asked.includes(key) && !groups.some((group) => key.startsWith(group)));
  assert.deepEqual(unused, []);
});
