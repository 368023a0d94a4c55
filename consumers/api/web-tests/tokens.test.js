// What pages make of answers about tokens, approvals and what departs from the usual.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useRoutes } from '../web/store/offers.js';
import { anomaliesOf, approvalsOf, tokenOf, volumeOf } from '../web/store/token-shapes.js';
import { tokenPage } from '../web/parts/values.js';

const HOUR_MS = 3_600_000;

test('a range of volume has every hour, also those without a transfer', () => {
  const now = 100 * HOUR_MS + 5;
  const answer = { items: [{ bucket_us: 99 * HOUR_MS * 1000, transfers: 7, usd: '12.5' }] };
  const steps = volumeOf(answer, 'hour', 3 * 3600, now);
  assert.deepEqual(steps.map((one) => [one.at / HOUR_MS, one.transfers, one.usd]), [[97, 0, null], [98, 0, null], [99, 7, '12.5'], [100, 0, null]]);
  assert.ok(volumeOf(null, 'hour', 10_000 * 3600, now).length <= 400, 'a long range is bounded');
});

test('what no amount bounds is told first', () => {
  const one = (spender, unlimited, at) => ({ chain: 'base', token: '0x1', spender, kind: 'allowance', unlimited, block_time_us: at });
  const lines = approvalsOf({ items: [one('a', false, 9), one('b', true, 3), one('c', true, 5)] });
  assert.deepEqual(lines.map((line) => line.spender.address), ['c', 'b', 'a']);
});

test('a token is unverified unless the API says otherwise', () => {
  assert.equal(tokenOf({ chain: 'base', address: '0x1', symbol: 'USDC' }).verified, false);
  assert.deepEqual(anomaliesOf({ items: [{ what: 'price', asset: 'dai', quote: 'usd', source: 's', z: -7 }] })[0].name, 'dai/usd');
});

test('a token leads to its page where the API knows tokens', () => {
  useRoutes([]);
  assert.equal(tokenPage('base', '0x1'), '/wallet/0x1');
  useRoutes(['get /tokens/{chain}/{token}']);
  assert.equal(tokenPage('base', '0x1'), '/token/base/0x1');
  useRoutes([]);
});
