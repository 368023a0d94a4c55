import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyFeed, fill, hold, newest, noteGap, release, STRUCK_MS, sweep, take, waitingCount } from '../web/store/feed.js';

const event = (id, more = {}) => ({ id: String(id), removed: false, incarnation: 1, ...more });
const ids = (feed) => feed.rows.map((row) => row.key);

test('the newest event is first, and the list does not grow', () => {
  let feed = emptyFeed(3);
  for (let id = 0; id < 10; id += 1) feed = take(feed, [event(id)], 0);
  assert.deepEqual(ids(feed), ['9', '8', '7']);
  feed = take(feed, [event(10), event(11)], 0);
  assert.deepEqual(ids(feed), ['11', '10', '9']);
});

test('an event that comes twice is one row', () => {
  let feed = fill(emptyFeed(), [event(2), event(1)]);
  const before = feed.rows;
  feed = take(feed, [event(1), event(2)], 0);
  assert.deepEqual(feed.rows, before);
});

test('a retracted event is struck through, then gone', () => {
  let feed = take(emptyFeed(), [event(1), event(2)], 0);
  feed = take(feed, [event(1, { removed: true, incarnation: 2 })], 100);
  assert.deepEqual(ids(feed), ['2', '1']);
  assert.equal(feed.rows[1].struck, 100);
  assert.equal(sweep(feed, 100 + STRUCK_MS - 1), feed);
  assert.deepEqual(ids(sweep(feed, 100 + STRUCK_MS)), ['2']);
});

test('a block that comes back brings its rows back', () => {
  let feed = take(emptyFeed(), [event(1)], 0);
  feed = take(feed, [event(1, { removed: true, incarnation: 2 }), event(1, { incarnation: 3 })], 5);
  assert.equal(feed.rows[0].struck, null);
  // What is late tells nothing new.
  feed = take(feed, [event(1, { removed: true, incarnation: 2 })], 6);
  assert.equal(feed.rows[0].struck, null);
});

test('what left the chain before it was shown is not shown', () => {
  const feed = take(emptyFeed(), [event(7, { removed: true, incarnation: 2 })], 0);
  assert.deepEqual(ids(feed), []);
});

test('a held list collects and counts, and lets all in again', () => {
  let feed = take(emptyFeed(3), [event(0)], 0);
  feed = hold(feed, 50);
  feed = take(feed, [event(1), event(2), event(3), event(4), event(5)], 60);
  assert.deepEqual(ids(feed), ['0']);
  assert.equal(waitingCount(feed), 5);
  feed = release(feed, 70);
  assert.deepEqual(ids(feed), ['5', '4', '3']);
  assert.equal(waitingCount(feed), 0);
  assert.equal(feed.held, null);
});

test('a retraction that waits strikes its row when it is let in', () => {
  let feed = hold(take(emptyFeed(), [event(1)], 0), 10);
  feed = take(feed, [event(1, { removed: true, incarnation: 2 })], 20);
  assert.equal(feed.rows[0].struck, null);
  assert.equal(release(feed, 30).rows[0].struck, 30);
});

test('what is older than the page that was asked for belongs to another page', () => {
  const at = (id, block_time_us) => event(id, { block_time_us });
  const items = [at(9, 900), at(8, 800)];
  const part = take(fill(emptyFeed(), items, false), [at(3, 300), at(8, 800), at(10, 1000)], 0);
  assert.deepEqual(ids(part), ['10', '9', '8']);
  assert.deepEqual(ids(take(fill(emptyFeed(), items, true), [at(3, 300)], 0)), ['9', '8', '3']);
});

test('what comes late takes its place by time', () => {
  const at = (id, block_time_us) => event(id, { block_time_us });
  const feed = take(fill(emptyFeed(), [at(9, 900), at(5, 500)]), [at(7, 700), at(10, 1000)], 0);
  assert.deepEqual(ids(feed), ['10', '9', '7', '5']);
});

test('a gap is a row of its own', () => {
  const feed = noteGap(take(emptyFeed(), [event(1)], 0), { stream: 'EVM', from: 5, to: 9, reason: 'slow' });
  assert.deepEqual(ids(feed), ['gap EVM 5', '1']);
});

test('many events at once keep the bound', () => {
  const feed = take(emptyFeed(), Array.from({ length: 200_000 }, (_, id) => event(id)), 0);
  assert.equal(feed.rows.length, 200);
  assert.equal(feed.rows[0].key, '199999');
});

/** Events of blocks, three in each, from one height to another. */
const chain = (from, to) => Array.from({ length: (to - from + 1) * 3 }, (_, index) => event(`${from + Math.floor(index / 3)}.${index % 3}`, { block_time_us: from + Math.floor(index / 3) }));
const heights = (feed) => [...new Set(feed.rows.filter((row) => row.event).map((row) => row.event.block_time_us))];

test('where more came than the list takes, no older row stands below the hole', () => {
  // Ten blocks at once, of which the newest two are retracted and come again: what is kept of them fills no list of its own.
  const gone = chain(9, 10).map((one) => ({ ...one, removed: true, incarnation: 2 }));
  const again = chain(9, 10).map((one) => ({ ...one, id: `${one.id}'` }));
  const burst = [...chain(3, 10), ...gone, ...again];
  const check = (feed) => {
    const shown = heights(feed);
    const expected = Array.from({ length: shown[0] - shown.at(-1) + 1 }, (_, index) => shown[0] - index);
    assert.deepEqual(shown, expected, 'a block between two that are shown is missing');
    assert.equal(shown[0], 10);
  };
  const before = fill(emptyFeed(20), chain(1, 2).reverse());
  const held = take(hold(before, 0), burst, 1);
  assert.ok(held.missed > 0);
  check(release(held, 2));
  const kept = newest(burst, 20);
  check(take(before, kept.events, 1, kept.cut));
  // In time for both, nothing is dropped.
  check(take(fill(emptyFeed(60), chain(1, 2).reverse()), burst, 1));
});
