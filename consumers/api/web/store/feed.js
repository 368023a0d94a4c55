// A live list: at most so many rows, newest first. It can be paused or held; what is retracted is struck through, then gone.

/** Rows that a list shows. */
export const MAX_ROWS = 200;
/** How long a retracted row stays, struck through. */
export const STRUCK_MS = 8000;

/** An empty list. `floor` is the time below which it is not whole, `cut` the time of the newest event that waited and was left out. */
export function emptyFeed(most = MAX_ROWS) {
  return { most, rows: [], waiting: [], missed: 0, held: null, floor: -Infinity, cut: -Infinity };
}

/** The newest of too many events, and the time of the newest that is left out: rows that are no newer than that are below a hole. */
export function newest(events, most) {
  const dropped = events.slice(0, Math.max(0, events.length - most));
  return { events: dropped.length ? events.slice(dropped.length) : events, dropped: dropped.length, cut: dropped.reduce((time, event) => Math.max(time, timeOfEvent(event)), -Infinity) };
}

/** Takes events, oldest first; `cut` is the time of the newest that was left out before them. Held lists only collect; what exceeds the list is counted. */
export function take(feed, events, now, cut = -Infinity) {
  if (events.length === 0) return feed;
  if (feed.held !== null) {
    const kept = newest(feed.waiting.concat(events), feed.most);
    return { ...feed, waiting: kept.events, missed: feed.missed + kept.dropped, cut: Math.max(feed.cut, cut, kept.cut) };
  }
  const whole = above(feed, cut);
  return { ...whole, rows: merge(whole, events, now) };
}

/** The list without what is below a hole: rows that follow each other there would seem to be neighbours. */
function above(feed, cut) {
  if (cut === -Infinity) return feed;
  return { ...feed, rows: feed.rows.filter((row) => timeOf(row) > cut), floor: Math.max(feed.floor, cut) };
}

/** Stops the list at this moment: rows that arrive wait. */
export function hold(feed, now) {
  return feed.held === null ? { ...feed, held: now } : feed;
}

/** Lets what waited in. */
export function release(feed, now) {
  if (feed.held === null) return feed;
  const whole = above(feed, feed.cut);
  return { ...whole, rows: merge(whole, feed.waiting, now), waiting: [], missed: 0, held: null, cut: -Infinity };
}

/** Events that wait, with those that no longer fit. */
export function waitingCount(feed) {
  return feed.waiting.length + feed.missed;
}

/** Drops rows that were struck through long enough; the same feed where there are none. */
export function sweep(feed, now) {
  const rows = feed.rows.filter((row) => !row.struck || now - row.struck < STRUCK_MS);
  return rows.length === feed.rows.length ? feed : { ...feed, rows };
}

/** The list with rows that a page of the API gave, newest first. What is older belongs to the pages after it, unless it is the last. */
export function fill(feed, items, isLast = true) {
  const rows = items.map((event) => ({ key: event.id, event, struck: null })).slice(0, feed.most);
  const floor = isLast || rows.length === 0 ? -Infinity : timeOf(rows.at(-1));
  return { ...feed, rows, floor };
}

/** Says where events are missing: a row of its own at the top. */
export function noteGap(feed, gap) {
  const row = { key: `gap ${gap.stream} ${gap.from}`, gap, struck: null };
  return { ...feed, rows: [row, ...feed.rows].slice(0, feed.most) };
}

function merge(feed, events, now) {
  const changed = new Map();
  const added = new Map();
  const places = new Map(feed.rows.map((row) => [row.key, row]));
  for (const event of events) {
    const known = added.get(event.id) ?? changed.get(event.id) ?? places.get(event.id);
    if (known && isOlder(event, known.event)) continue;
    const row = { key: event.id, event, struck: event.removed ? (known?.struck ?? now) : null };
    if (places.has(event.id)) changed.set(event.id, row);
    // What left the chain before it was shown is not shown.
    else if ((!event.removed || known) && timeOf(row) >= feed.floor) added.set(event.id, row);
  }
  const fresh = [...added.values()].reverse();
  const rows = changed.size ? feed.rows.map((row) => changed.get(row.key) ?? row) : feed.rows;
  const all = [...fresh, ...rows];
  // After a resume what came before the list's newest row may come once more.
  const isLate = rows.length > 0 && fresh.some((row) => timeOf(row) < timeOf(rows[0]));
  if (isLate) all.sort((a, b) => timeOf(b) - timeOf(a));
  return all.slice(0, feed.most);
}

function timeOfEvent(event) {
  return event.block_time_us ?? event.event_at_us ?? 0;
}

/** When it happened; a gap is where it was noted. */
function timeOf(row) {
  return row.event ? timeOfEvent(row.event) : Infinity;
}

/** An event again, or one of an earlier state of its block. */
function isOlder(event, known) {
  if (!known) return false;
  const before = known.incarnation ?? 0;
  const after = event.incarnation ?? 0;
  return after < before || (after === before && Boolean(event.removed) === Boolean(known.removed));
}
