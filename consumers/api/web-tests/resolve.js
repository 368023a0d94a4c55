// Bare names as the import map of index.html says: `node --import ./resolve.js --test *.test.js`.

import { readFileSync } from 'node:fs';
import { register } from 'node:module';

const root = new URL('../web/', import.meta.url);
const page = readFileSync(new URL('index.html', root), 'utf8');
const map = JSON.parse(/<script type="importmap">([\s\S]*?)<\/script>/.exec(page)[1]).imports;
const places = Object.entries(map).map(([name, path]) => [name, new URL(path.replace('/assets/dev/', ''), root).href]);

const hook = `
  const places = new Map(${JSON.stringify(places)});
  export const resolve = (name, context, next) =>
    places.has(name) ? { url: places.get(name), shortCircuit: true } : next(name, context);
`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
