// What the page loads first is named in its head, so that no module waits for another one to be read.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../web/', import.meta.url);
const page = readFileSync(new URL('index.html', root), 'utf8');
const map = JSON.parse(/<script type="importmap">([\s\S]*?)<\/script>/.exec(page)[1]).imports;

/** Every module that one needs before it runs, itself among them. */
function needed(address, known = new Set()) {
  if (known.has(address.href)) return known;
  known.add(address.href);
  const text = readFileSync(address, 'utf8');
  // Minified modules write `from"preact"`.
  for (const [, name] of text.matchAll(/(?:^|[;}\s])(?:import|from)\s*["']([^"']+)["']/g)) {
    if (name in map) needed(new URL(map[name].replace('/assets/dev/', ''), root), known);
    else if (name.startsWith('.')) needed(new URL(name, address), known);
  }
  return known;
}

const pathOf = (href) => href.slice(root.href.length);

const OVERVIEW = new URL('pages/overview.js', root);
const APP = new URL('app.js', root);

test('every module of the frame and of live lists is preloaded, and nothing else', () => {
  const first = needed(OVERVIEW, needed(APP));
  const wanted = [...first].filter((href) => href !== APP.href && href !== OVERVIEW.href).map(pathOf).sort();
  const named = [...page.matchAll(/<link rel="modulepreload" href="\/assets\/dev\/([^"]+)">/g)].map((found) => found[1]).sort();
  assert.deepEqual(named, wanted);
});

test('preloading comes after the import map, which it would make useless in some browsers', () => {
  assert.ok(page.indexOf('modulepreload') > page.indexOf('importmap'));
});

test('every module finds what it imports', async () => {
  const modules = ['pages', 'parts', 'store'].flatMap((folder) => readdirSync(new URL(folder, root)).map((name) => `${folder}/${name}`));
  for (const name of [...modules, 'shell.js']) await import(new URL(name, root));
});
