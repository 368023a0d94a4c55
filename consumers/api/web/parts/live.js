// A live list as a hook: the past by the API, then events by the websocket; held while a reader reads.

import { useEffect, useMemo, useRef } from 'preact/hooks';
import { signal } from '@preact/signals-core';
import { ask } from '../store/api.js';
import { resumeAfter } from '../store/shapes.js';
import { emptyFeed, fill, hold, newest, noteGap, release, sweep, take, waitingCount } from '../store/feed.js';
import { t } from '../store/i18n.js';
import { connection, live } from '../store/live.js';
import * as number from '../store/number.js';
import * as time from '../store/time.js';
import { html, Icon } from './html.js';

/** How often a list is asked where nothing comes live. */
const POLL_MS = 5000;
/** Rows that one frame adds. */
const ROWS_PER_FRAME = 60;

/** Pauses that readers chose, by list: going back finds them again. */
const paused = new Map();

/**
 * `filters` of the subscription (null: none), `past` as `{path, parameters}`, `keep(event)` for what the server cannot filter, `eventOf(item)`
 * where the items of the list are not the events themselves.
 */
export function useFeed({ name, filters, past, keep, most, eventOf }) {
  const identity = JSON.stringify([name, filters, past]);
  const feed = useMemo(() => new FeedStore({ name, filters, past, keep, most, eventOf }), [identity]);
  useEffect(() => feed.start(), [feed]);
  return feed;
}

class FeedStore {
  constructor({ name, filters, past, keep, most, eventOf = (item) => item }) {
    Object.assign(this, { name, filters, past, keep, eventOf });
    this.state = signal(emptyFeed(most));
    this.question = signal({ data: null, problem: null, pending: true, at: null });
    this.isPaused = signal(paused.has(name));
    this.stop = null;
    this.arrived = [];
    /** Time of the newest event that was left out since the last ones were drawn. */
    this.cut = -Infinity;
    this.drawing = false;
  }

  start() {
    this.abort = new AbortController();
    const sweeping = setInterval(() => {
      this.state.value = sweep(this.state.peek(), Date.now());
    }, 1000);
    this.load();
    const polling = setInterval(() => this.poll(), POLL_MS);
    return () => {
      clearInterval(polling);
      this.stop?.();
      cancelAnimationFrame(this.drawing || 0);
      clearInterval(sweeping);
      this.abort.abort();
    };
  }

  async load() {
    this.question.value = { ...this.question.peek(), pending: true };
    try {
      const { path, parameters } = this.past;
      const data = await ask(path, { parameters, signal: this.abort.signal });
      const events = data.items.map(this.eventOf);
      this.state.value = fill(this.state.peek(), this.keep ? events.filter(this.keep) : events, !data.next);
      this.question.value = { data, problem: null, pending: false, at: Date.now() };
      this.follow(data);
      if (this.isPaused.peek()) this.hold();
    } catch (problem) {
      if (!this.abort.signal.aborted) this.question.value = { ...this.question.peek(), problem, pending: false };
    }
  }

  /** Live from where the tables were when they were asked, so that nothing is between the past and the first event. */
  follow(data) {
    this.stop?.();
    this.stop = this.filters && live.subscribe(this.filters, (message) => this.receive(message), resumeAfter(data));
  }

  /** Without a connection the list is asked again and again. */
  poll() {
    const isLive = connection.peek() === 'live';
    if (this.filters && !isLive && !document.hidden && this.state.peek().held === null && !this.question.peek().pending) this.load();
  }

  again() {
    this.load();
  }

  receive(message) {
    if (message.type === 'gap') this.state.value = noteGap(this.state.peek(), message);
    if (message.type !== 'events' && message.type !== 'snapshot') return;
    const events = this.keep ? message.events.filter(this.keep) : message.events;
    this.cut = Math.max(this.cut, message.cut ?? -Infinity);
    if (this.state.peek().held !== null) {
      this.take(this.arrived.splice(0).concat(events));
      return;
    }
    // Of more than the list can show only the newest are drawn.
    const kept = newest(this.arrived.concat(events), this.state.peek().most);
    this.arrived = kept.events;
    this.cut = Math.max(this.cut, kept.cut);
    if (!this.drawing) this.draw();
  }

  take(events) {
    this.state.value = take(this.state.peek(), events, Date.now(), this.cut);
    if (events.length > 0) this.cut = -Infinity;
  }

  /** A few rows in each frame: a busy list must not stop the page. */
  draw() {
    this.take(this.arrived.splice(0, ROWS_PER_FRAME));
    this.drawing = this.arrived.length > 0 && requestAnimationFrame(() => this.draw());
  }

  hold() {
    this.state.value = hold(this.state.peek(), time.now.peek());
  }

  release() {
    if (!this.isPaused.peek()) this.state.value = release(this.state.peek(), Date.now());
  }

  pause(isWanted) {
    this.isPaused.value = isWanted;
    if (isWanted) {
      paused.set(this.name, true);
      this.hold();
    } else {
      paused.delete(this.name);
      this.release();
    }
  }
}

/** Wraps a list: it is held while it is hovered, focused, or not at its top. */
export function Held({ feed, children }) {
  const box = useRef(null);
  useEffect(() => {
    const isRead = () => {
      const element = box.current;
      return element && (element.matches(':hover') || element.contains(document.activeElement) || element.getBoundingClientRect().top < 0);
    };
    const look = () => (isRead() ? feed.hold() : feed.release());
    const looking = setInterval(look, 400);
    const element = box.current;
    for (const event of ['pointerenter', 'pointerleave', 'focusin', 'focusout']) element.addEventListener(event, look);
    return () => clearInterval(looking);
  }, [feed]);
  return html`<div class="held" ref=${box}>${children}</div>`;
}

/** The button that pauses, and how many rows wait. */
export function LiveControl({ feed }) {
  const { held } = feed.state.value;
  const waiting = waitingCount(feed.state.value);
  const isPaused = feed.isPaused.value;
  const state = connection.value;
  const show = () => {
    feed.pause(false);
    document.activeElement?.blur();
    scrollTo({ top: 0 });
    feed.state.value = release(feed.state.peek(), Date.now());
  };
  return html`<span class="live-control">
    ${isPaused && html`<span class="note muted">${t('paused at', { time: time.short(held ?? time.now.peek()), count: number.count(waiting) })}</span>`}
    ${!isPaused && waiting > 0 && html`<button type="button" class="fresh" onClick=${show}>${t('waiting', { count: number.count(waiting) })}</button>`}
    ${!isPaused && !waiting && html`<span class=${`pulse ${state}`}><i></i>${t(`socket.${state}`)}</span>`}
    <button type="button" class="plain" data-pause aria-pressed=${isPaused ? 'true' : 'false'} onClick=${() => feed.pause(!isPaused)} title=${isPaused ? t('resume') : t('pause')} aria-label=${isPaused ? t('resume') : t('pause')}>
      <${Icon} name=${isPaused ? 'play' : 'pause'} />
    </button>
  </span>`;
}

/** Only the last of several calls in a row counts. */
export function useDelayed(act, wait = 300) {
  const timer = useRef(0);
  return (...values) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => act(...values), wait);
  };
}
