import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileEnd } from '../web/store/file.js';
import { useRoutes } from '../web/store/offers.js';
import { layoutOf, PLACE } from '../web/store/layout.js';
import { match } from '../web/store/route.js';
import * as time from '../web/store/time.js';
import { clock, language } from '../web/store/i18n.js';
import { alertHours, candlesOf, finalityOf, flowOf, graphOf, hoursOfTrial, isIncident, pricesOf, sourcesOf, spreadOf, sumsOf, trialOf } from '../web/store/shapes.js';
import { eventColumns, imitates, isLikelySpam } from '../web/parts/events.js';
import { guess } from '../web/parts/search.js';
import { outside, safe, shortAddress } from '../web/parts/values.js';
import { MODULES } from '../web/pages/about.js';
import { filterOf } from '../web/pages/rule-new.js';
import { parametersOf } from '../web/pages/transactions.js';

const root = new URL('../web/', import.meta.url);
const ADDRESS = `0x${'ab'.repeat(20)}`;

test('a path is matched by its pattern', () => {
  assert.deepEqual(match('/', '/'), {});
  assert.deepEqual(match('/wallet/:address', `/wallet/${ADDRESS}`), { address: ADDRESS });
  assert.deepEqual(match('/transactions', '/transactions/'), {});
  assert.equal(match('/wallet/:address', '/wallets'), null);
});

test('search knows what a text is', () => {
  useRoutes(['get /blocks/{chain}/{number}']);
  assert.equal(guess(` ${ADDRESS.toUpperCase().replace('0X', '0x')} `)[0].href, `/wallet/${ADDRESS}`);
  assert.equal(guess(`0x${'1'.repeat(64)}`)[0].kind, 'transaction');
  assert.deepEqual(guess('21,000,000', ['base', 'ethereum']).map((one) => one.href), ['/block/base/21000000', '/block/ethereum/21000000']);
  assert.deepEqual(guess('base 5', ['base', 'ethereum']).map((one) => one.href), ['/block/base/5']);
  assert.equal(guess('w1ae2')[0].href, '/alerts?code=W1AE2');
  assert.deepEqual(guess('treasury'), []);
});

test('times keep the microseconds of the wire', () => {
  language.value = 'en';
  clock.value = 'utc';
  assert.equal(time.iso(1729290480250001), '2024-10-18T22:28:00.250001Z');
  assert.equal(time.iso('2026-11-29T02:31:07.453Z'), '2026-11-29T02:31:07.453Z');
  assert.match(time.full(1729290480250001), /UTC \(2024-10-18T22:28:00\.250001Z\)$/);
  assert.equal(time.milliseconds(null), null);
  assert.equal(time.seconds('7d'), 604_800);
});

test('a wrong clock of the browser does not falsify ages', () => {
  time.serverSaid(Date.now() + 3_600_000);
  assert.ok(time.clockIsWrong.value);
  assert.ok(Math.abs(time.now.value - Date.now() - 3_600_000) < 2000);
  time.serverSaid(Date.now() + 200);
  assert.equal(time.offset.value, 0);
});

test('text from outside cannot deceive', () => {
  assert.equal(safe('US\u202eDC\u200b'), 'US▯DC▯');
  assert.equal(safe('x'.repeat(1000)).length, 256);
  assert.equal(safe('<img src=x>'), '<img src=x>');
  assert.equal(outside('javascript:alert(1)'), null);
  assert.equal(outside('http://example.org'), null);
  assert.equal(outside('https://etherscan.io/tx/0x1'), 'https://etherscan.io/tx/0x1');
  assert.equal(shortAddress(ADDRESS), '0xabab…ababab');
});

test('worthless transfers that others made are likely spam', () => {
  const transfer = { kind: 'transfer.erc20', tx_from: '0x1', from: '0x2', amount: '5', token_verified: true };
  assert.equal(isLikelySpam(transfer), false);
  assert.equal(isLikelySpam({ ...transfer, amount: '0' }), true);
  assert.equal(isLikelySpam({ ...transfer, token_verified: false }), true);
  assert.equal(isLikelySpam({ ...transfer, amount: '0', tx_from: '0x2' }), false);
});

test('an address that imitates another is told apart', () => {
  const other = `${ADDRESS.slice(0, 8)}${'0'.repeat(28)}${ADDRESS.slice(-6)}`;
  assert.equal(imitates(other, [ADDRESS]), ADDRESS);
  assert.equal(imitates(ADDRESS, [ADDRESS]), null);
  assert.equal(imitates(`0x${'1'.repeat(40)}`, [ADDRESS]), null);
});

test('only sound filters reach the API', () => {
  const query = { address: 'treasury', token: ADDRESS, min_usd: 'much', direction: 'in', watched: '1', range: '6h' };
  const parameters = parametersOf(query);
  assert.equal(parameters.address, undefined);
  assert.equal(parameters.token, ADDRESS);
  assert.equal(parameters.min_usd, undefined);
  assert.equal(parameters.watched, 'true');
  assert.equal(parameters.since, '-6h');
});

test('finality follows the newest safe and final blocks', () => {
  const chains = [{ chain: 'base', final: 10, safe: 20 }];
  const at = (block_number, more) => finalityOf({ chain: 'base', block_number, ...more }, chains);
  assert.deepEqual([at(10), at(11), at(21), at(5, { removed: true })], ['final', 'safe', 'latest', 'retracted']);
  assert.equal(finalityOf({ chain: 'other', block_number: 1 }, chains), null);
});

test('alerts fall into the hours of the range', () => {
  const now = Date.parse('2026-11-29T08:30:00Z');
  const hours = alertHours({ items: [{ severity: 'critical', bucket_us: Date.parse('2026-11-29T07:00:00Z') * 1000, alerts: 3 }] }, 86_400, now);
  assert.equal(hours.length, 24);
  assert.equal(hours.at(-2).critical, 3);
  assert.equal(alertHours(null, 604_800, now).length, 7);
  assert.equal(alertHours(null, 3600, now).length, 12);
});

test('a price knows how far its sources are apart', () => {
  const [bitcoin] = pricesOf({ prices: [{ asset: 'bitcoin', price: '100', at_us: 1, source: 'a', sources: [{ source: 'a', price: '100' }, { source: 'b', price: '102' }] }], movers: [{ asset: 'bitcoin', change_percent: '-1.5' }] });
  assert.equal(bitcoin.change, '-1.5');
  assert.equal(spreadOf(bitcoin), 2);
  assert.equal(spreadOf({ sources: [] }), null);
});

test('candles are of one source each, in order', () => {
  const one = (source, bucket_us) => ({ source, quote: 'usd', bucket_us, open: '1', high: '2', low: '1', close: '2' });
  const sources = candlesOf({ items: [one('b', 120e6), one('a', 60e6), one('b', 60e6)] });
  assert.deepEqual([...sources.keys()], ['b usd', 'a usd']);
  assert.deepEqual(sources.get('b usd').map((candle) => candle.time), [60, 120]);
});

test('flow is exact', () => {
  const [row] = flowOf({ items: [{ chain: 'base', usd_in: '0.1', usd_out: '0.30000000000000004' }] });
  assert.equal(row.usdNet, '-0.20000000000000004');
});

test('vendored files are what npm ships, and are named where licences are', () => {
  const lines = readFileSync(new URL('vendor/vendor.lock', root), 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
  for (const line of lines) {
    const [hash, file] = line.split(/\s+/);
    const bytes = readFileSync(new URL(`vendor/${file}`, root));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), hash, file);
  }
  const names = new Set(lines.map((line) => line.split(/\s+/)[1].split('/')[0]));
  const told = MODULES.map((one) => `${one.name.replace('@preact/', 'preact-')}@${one.version}`);
  assert.deepEqual([...names].sort(), told.sort());
});

test('the change beside a price is of the same source, where that tells one', () => {
  const price = (asset, source) => ({ asset, source, price: '1', at_us: 1 });
  const mover = (asset, source, change_percent) => ({ asset, source, quote: 'usd', price: '1', change_percent });
  const prices = [price('one', 'b'), price('two', 'c'), price('three', 'b')];
  const movers = [mover('one', 'a', '9'), mover('one', 'b', '2'), mover('two', 'a', '5')];
  const changes = pricesOf({ prices, movers }).map(({ asset, change }) => [asset, change]);
  assert.deepEqual(Object.fromEntries(changes), { one: '2', two: '5', three: null });
});

/** A graph as the API answers it: the middle, and as many in one ring and behind its first node. */
function graphAnswer(near, far) {
  const address = (index) => `0x${index.toString(16).padStart(40, '0')}`;
  const node = (index, level) => ({ address: address(index), level, label: null, tags: [], categories: [], watched: false, stop: null });
  const edge = (from, to, usd) => ({ from: address(from), to: address(to), transfers: 2, priced: usd ? 2 : 0, usd, last_at_us: from + to });
  const inner = Array.from({ length: near }, (_, index) => index + 1);
  const outer = Array.from({ length: far }, (_, index) => near + index + 1);
  return {
    root: address(0), found_nodes: near + far + 1, truncated: [],
    nodes: [node(0, 0), ...inner.map((one) => node(one, 1)), ...outer.map((one) => node(one, 2))],
    edges: [...inner.map((one) => edge(0, one, '10.5')), ...outer.map((one) => edge(one, 1, '0'))],
  };
}

test('a graph is always laid out the same, within its place, and no node is on another', () => {
  for (const [near, far] of [[1, 0], [5, 0], [59, 0], [20, 39], [1, 58]]) {
    const graph = graphOf(graphAnswer(near, far));
    const places = [...layoutOf(graph).values()];
    assert.deepEqual(places, [...layoutOf(graph).values()]);
    assert.equal(places.length, near + far + 1);
    for (const [index, one] of places.entries()) {
      assert.ok(Math.abs(one.x) < PLACE.width / 2 && Math.abs(one.y) < PLACE.height / 2);
      for (const other of places.slice(index + 1)) {
        const apart = Math.hypot(one.x - other.x, one.y - other.y);
        assert.ok(apart > 20, `${near} and ${far}: ${apart}`);
      }
    }
  }
});

test('a node of a graph has what it sent and received, exactly', () => {
  const graph = graphOf(graphAnswer(3, 2));
  const sums = sumsOf(graph);
  assert.equal(sums.get(graph.root).sent, '31.5');
  assert.equal(sums.get(graph.root).received, null);
  const [, first] = graph.nodes;
  assert.deepEqual(sums.get(first.address), { sent: null, received: '10.5', transfers: 6, last: 6 });
});

test('incidents are told from news, and sources that were seen stay', () => {
  assert.ok(isIncident({ tags: ['incident', 'minor'] }) && !isIncident({ tags: ['etf'] }) && !isIncident({}));
  const known = new Set();
  assert.deepEqual(sourcesOf(known, [{ source: 'b' }, { source: 'a' }], undefined), ['a', 'b']);
  assert.deepEqual(sourcesOf(known, [], 'c'), ['a', 'b', 'c']);
});

test('hours of a trial without an alert are there, too', () => {
  const hour = 3_600_000_000;
  const answer = {
    since_us: 10.5 * hour, until_us: 13.25 * hour, streams: [{ stream: 'EVM', messages: 7, missing: ['the begin has left the stream'] }, { stream: 'MARKET', messages: 2, missing: [] }],
    rules: [{ rule: 'a', fired: 3, fired_per_hour: 1.1, hours: [{ begins_us: 11 * hour, fired: 3 }], samples: [] }],
  };
  const trial = trialOf(answer);
  assert.deepEqual([trial.messages, trial.missing], [9, ['EVM: the begin has left the stream']]);
  assert.deepEqual(hoursOfTrial(trial.rules[0], trial).map((one) => one.fired), [0, 3, 0, 0]);
});

test('a filter of the list is the same filter for a rule', () => {
  const query = { chain: 'base', kind: 'erc20', min_usd: '5', watched: '1', direction: 'in', range: '7d', cursor: 'x', spam: '1' };
  const asked = JSON.parse(JSON.stringify(filterOf(query)));
  assert.deepEqual(asked, { chain: ['base'], kind: ['erc20'], watched: true, min_usd: '5' });
  assert.equal(filterOf({ ...query, address: ADDRESS }).direction, 'in');
  assert.equal(filterOf({ id: 'No Id' }).id, undefined);
});

test('a file that was cut on its way is told from a whole one', async () => {
  const end = (text, format) => fileEnd(new Blob([text]), format);
  assert.deepEqual(await end('{"id":"a"}\n{"end":true,"items":1400,"complete":true,"next":null}\n', 'ndjson'), { items: 1400, next: null });
  assert.equal((await end('{"end":true,"items":2,"complete":false,"next":"abc"}\n', 'ndjson')).next, 'abc');
  assert.equal(await end('{"id":"a"}\n{"id":"b', 'ndjson'), null);
  assert.equal(await end('{"end":true,"items":2,"problem":{"title":"Timed out"},"next":null}', 'ndjson'), null);
  assert.deepEqual(await end('kind,chain,id,next\r\ntransfer.native,base,x,\r\nend,7,,\r\n', 'csv'), { items: 7, next: null });
  assert.equal((await end('end,7,,,,abc_-1\r\n', 'csv')).next, 'abc_-1');
  assert.equal(await end('end,7,,,,failed\r\n', 'csv'), null);
  assert.equal(await end('transfer.native,base,x,\r\n', 'csv'), null);
});

/** The texts in what a template made. */
function textsOf(node) {
  if (Array.isArray(node)) return node.flatMap(textsOf);
  if (node === null || node === undefined || typeof node === 'boolean') return [];
  if (typeof node !== 'object') return [String(node)];
  return typeof node.type === 'function' ? textsOf(node.type(node.props)) : textsOf(node.props?.children);
}

test('every event of a chain that is on the wire can be a row', () => {
  const golden = new URL('../../../schemas/golden/', import.meta.url);
  const events = readdirSync(golden).filter((name) => /\.v\d+(\.minimal)?\.json$/.test(name)).map((name) => JSON.parse(readFileSync(new URL(name, golden))));
  const ofTransactions = events.filter((event) => event.tx_hash && event.kind !== 'alert');
  assert.ok(ofTransactions.length > 15, `${ofTransactions.length}`);
  for (const event of ofTransactions) {
    const texts = eventColumns({ chains: [] }).flatMap((column) => textsOf(column.render({ event })));
    assert.ok(!texts.some((text) => /undefined|null|\[object|NaN/.test(text)), `${event.kind}: ${texts}`);
  }
});
