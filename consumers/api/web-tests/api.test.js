// Questions to the API, and what happens to them on the way.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ask } from '../web/store/api.js';

const own = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = own;
});

/** Answers requests in turns: a status with its headers, or `null` for none. Returns the keys that came. */
function answers(...turns) {
  const keys = [];
  globalThis.fetch = async (address, { headers }) => {
    keys.push(headers['Idempotency-Key']);
    const turn = turns.shift();
    if (!turn) throw new TypeError('no connection');
    return new Response('{}', { status: turn[0], headers: turn[1] });
  };
  return keys;
}

const change = (body) => ask('/silences', { method: 'POST', body }).catch((problem) => problem.status);

test('a change that was not answered is asked for again by the same key', async () => {
  const keys = answers(null, [503], [409, { 'retry-after': '1' }], [201], [201]);
  for (let turn = 0; turn < 5; turn += 1) await change({ reason: 'one' });
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.deepEqual(keys.slice(0, 4), Array(4).fill(keys[0]));
  assert.notEqual(keys[4], keys[0], 'after an answer it is another change');
});

test('other changes, and those that were decided, have keys of their own', async () => {
  const keys = answers(null, null, [422], [422], [409], [409]);
  await change({ reason: 'two' });
  await change({ reason: 'three' });
  for (let turn = 0; turn < 4; turn += 1) await change({ reason: 'four' });
  assert.equal(new Set(keys).size, 6);
});

test('questions, and what begins a session, have no key', async () => {
  const keys = answers([200], [201]);
  await ask('/chains');
  await ask('/session', { method: 'POST', body: { code: 'cl_x' } });
  assert.deepEqual(keys, [undefined, undefined]);
});
