// One websocket for the tab. Subscriptions are counted; events are handed out together, at most a few times a second.

import { computed, signal } from '@preact/signals-core';
import { newest } from './feed.js';
import { offers } from './offers.js';
import { now, serverSaid } from './time.js';

const PROTOCOL = 'crypto-intel.v1.json';
const FIRST_WAIT = 500;
const MAX_WAIT = 30_000;
/** After so long without a look at the page its subscriptions end. */
const HIDDEN_MS = 60_000;
/** Frames are applied at most so often; under load half as often. */
const APPLY_MS = 250;
const BUSY_EVENTS = 150;
/** What waits to be applied, per subscription. */
const MAX_PENDING = 2000;

/** What the server's heartbeat said last. */
export const heartbeat = signal(null);
/** `connecting`, `live`, `waiting`, `hidden` or `off`. */
const phase = signal('off');
const lastFrame = signal(0);
const beatSeconds = signal(15);
/** Events per second, for the truth line. */
export const rate = signal(0);

/** The state of the connection as the truth line says it. */
export const connection = computed(() => {
  if (phase.value !== 'live') return phase.value;
  const silent = (now.value - lastFrame.value) / 1000;
  return silent > beatSeconds.value * 2 ? 'silent' : 'live';
});

class Live {
  constructor() {
    this.subscriptions = new Map();
    this.socket = null;
    this.wait = FIRST_WAIT;
    this.timer = null;
    this.applying = null;
    this.count = 0;
    this.received = 0;
    this.isHidden = false;
  }

  start() {
    addEventListener('online', () => this.reconnectNow());
    document.addEventListener('visibilitychange', () => this.visibility());
    setInterval(() => this.measure(), 1000);
  }

  measure() {
    rate.value = this.received;
    this.received = 0;
    if (connection.peek() === 'silent') this.socket?.close(4000);
  }

  /** Subscribes, to what came after `resume` if it is given; the same twice is one subscription. Returns how to end it. */
  subscribe(filters, listener, resume = null) {
    const name = JSON.stringify([filters, resume]);
    let entry = this.subscriptions.get(name);
    if (!entry) {
      this.count += 1;
      entry = { id: `s${this.count}`, filters, listeners: new Set(), resume, pending: [] };
      this.subscriptions.set(name, entry);
      this.send(this.wish(entry));
    }
    entry.listeners.add(listener);
    this.open();
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size > 0) return;
      this.subscriptions.delete(name);
      this.send({ action: 'unsubscribe', id: entry.id });
    };
  }

  open() {
    if (!offers('get /stream') || this.socket || this.timer || this.isHidden || this.subscriptions.size === 0) return;
    phase.value = 'connecting';
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/ws`, PROTOCOL);
    this.socket = socket;
    socket.onopen = () => this.greet();
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(message.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event);
    };
  }

  greet() {
    for (const entry of this.subscriptions.values()) this.send(this.wish(entry));
  }

  wish(entry) {
    return { action: 'subscribe', id: entry.id, ...entry.filters, resume: entry.resume ?? undefined };
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  receive(text) {
    lastFrame.value = now.peek();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.handle(message);
  }

  handle(message) {
    switch (message.type) {
      case 'hello':
        phase.value = 'live';
        this.wait = FIRST_WAIT;
        beatSeconds.value = message.heartbeat_seconds ?? 15;
        break;
      case 'heartbeat':
        heartbeat.value = message;
        serverSaid((message.time_us ?? NaN) / 1000);
        break;
      case 'subscribed':
      case 'snapshot':
      case 'events':
      case 'gap':
      case 'error':
        this.queue(message);
        break;
      case 'bye':
        this.wait = Math.max(FIRST_WAIT, message.retry_after_ms ?? 0);
        break;
      default:
    }
  }

  queue(message) {
    for (const entry of this.subscriptions.values()) {
      if (message.id !== undefined && message.id !== null && entry.id !== message.id) continue;
      if (message.resume) entry.resume = message.resume;
      this.received += message.events?.length ?? 0;
      this.collect(entry, message);
    }
    this.applying ??= setTimeout(() => requestAnimationFrame(() => this.apply()), APPLY_MS);
  }

  /** Frames of events that follow each other become one; beyond the bound the oldest events go. */
  collect(entry, message) {
    const last = entry.pending.at(-1);
    if (message.type === 'events' && last?.type === 'events') {
      const kept = newest(last.events.concat(message.events), MAX_PENDING);
      last.events = kept.events;
      last.cut = Math.max(last.cut ?? -Infinity, kept.cut);
    } else {
      entry.pending.push({ ...message });
    }
  }

  apply() {
    this.applying = null;
    let most = 0;
    for (const entry of this.subscriptions.values()) {
      const messages = entry.pending;
      entry.pending = [];
      for (const message of messages) {
        most = Math.max(most, message.events?.length ?? 0);
        for (const listener of entry.listeners) listener(message);
      }
    }
    if (most > BUSY_EVENTS) {
      // Rows that no one can read need not be drawn as often.
      this.applying = setTimeout(() => requestAnimationFrame(() => this.apply()), APPLY_MS * 3);
    }
  }

  closed(event) {
    this.socket = null;
    if (event.code === 4401 || event.code === 4403) {
      phase.value = 'refused';
      return;
    }
    if (this.isHidden || this.subscriptions.size === 0) {
      phase.value = this.isHidden ? 'hidden' : 'off';
      return;
    }
    phase.value = 'waiting';
    const jitter = this.wait * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.open();
    }, jitter);
    this.wait = Math.min(this.wait * 2, MAX_WAIT);
  }

  reconnectNow() {
    clearTimeout(this.timer);
    this.timer = null;
    this.open();
  }

  visibility() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        this.isHidden = true;
        this.socket?.close(1000);
      }, HIDDEN_MS);
    } else {
      this.isHidden = false;
      this.reconnectNow();
    }
  }

  /** Another reader: everything again. */
  restart() {
    for (const entry of this.subscriptions.values()) entry.resume = null;
    this.wait = FIRST_WAIT;
    if (this.socket) this.socket.close(1000);
    else this.reconnectNow();
  }
}

export const live = new Live();
