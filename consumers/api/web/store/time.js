// Times on the wire are microseconds since 1970. The server's clock counts, not the browser's.

import { computed, signal } from '@preact/signals-core';
import { clock, language } from './i18n.js';

/** Milliseconds that the server's clock is ahead of this one, by its heartbeats. */
export const offset = signal(0);
const local = signal(Date.now());

/** The server's time in milliseconds, once a second. */
export const now = computed(() => local.value + offset.value);
/** The browser's clock is wrong by more than ten seconds. */
export const clockIsWrong = computed(() => Math.abs(offset.value) > 10_000);

/** Starts the clock; it rests while the page is hidden. */
export function startClock() {
  const tick = () => {
    if (!document.hidden) local.value = Date.now();
  };
  document.addEventListener('visibilitychange', tick);
  return setInterval(tick, 1000);
}

/** Takes the server's time from a heartbeat or an answer. */
export function serverSaid(milliseconds) {
  if (!Number.isFinite(milliseconds)) return;
  const difference = milliseconds - Date.now();
  // What the network takes is not the clock's fault.
  if (Math.abs(difference - offset.value) > 1500) offset.value = Math.abs(difference) < 1500 ? 0 : difference;
}

/** Milliseconds of a time as the API writes it: microseconds, or RFC 3339. */
export function milliseconds(value) {
  if (typeof value === 'number') return value / 1000;
  const parsed = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

const formats = new Map();

function format(name, options) {
  const zone = clock.value === 'utc' ? 'UTC' : undefined;
  const key = `${language.value} ${zone} ${name}`;
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(language.value, { timeZone: zone, hourCycle: 'h23', ...options });
    formats.set(key, made);
  }
  return made;
}

const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit' };

/** The name of the zone that times are shown in. */
export function zoneName() {
  if (clock.value === 'utc') return 'UTC';
  const parts = format('zone', { timeZoneName: 'short' }).formatToParts(0);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
}

/** Hour, minute and second; with the day where it is not today. */
export function short(ms) {
  const day = format('day', { year: 'numeric', month: '2-digit', day: '2-digit' });
  const time = format('time', TIME).format(ms);
  if (day.format(ms) === day.format(now.peek())) return time;
  return `${format('date', { month: 'short', day: '2-digit' }).format(ms)} ${time}`;
}

/** Hour and minute, for axes. */
export function minute(ms) {
  return format('minute', { hour: '2-digit', minute: '2-digit' }).format(ms);
}

/** Day and month, for axes. */
export function day(ms) {
  return format('date', { month: 'short', day: '2-digit' }).format(ms);
}

/** Everything that is known of the moment. */
export function full(value) {
  const ms = milliseconds(value);
  if (ms === null) return '';
  const date = format('full', { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);
  return `${date} ${zoneName()} (${iso(value)})`;
}

/** RFC 3339 with all the digits that the wire has. */
export function iso(value) {
  const ms = milliseconds(value);
  if (ms === null) return '';
  if (typeof value !== 'number') return new Date(ms).toISOString();
  const micros = String(value % 1_000_000).padStart(6, '0');
  return `${new Date(Math.floor(value / 1_000_000) * 1000).toISOString().slice(0, 19)}.${micros}Z`;
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** A span in its largest unit: `4 min`. */
export function span(seconds) {
  const size = Math.max(0, Math.floor(Math.abs(seconds)));
  const [unit, length] = UNITS.find(([, one]) => size >= one) ?? UNITS[3];
  return unitFormat(unit).format(Math.floor(size / length));
}

/** How long ago it was by the server's clock: `4 min`. */
export function age(ms) {
  return span((now.value - ms) / 1000);
}

/** Milliseconds as `23 ms` or `1.2 s`. */
export function latency(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return unitFormat('millisecond').format(Math.round(ms));
  if (ms >= 60_000) return span(ms / 1000);
  return unitFormat('second', 1).format(ms / 1000);
}

function unitFormat(unit, digits = 0) {
  const key = `${language.value} unit ${unit} ${digits}`;
  let made = formats.get(key);
  if (!made) {
    const options = { style: 'unit', unit, unitDisplay: 'narrow', maximumFractionDigits: digits };
    made = new Intl.NumberFormat(language.value, options);
    formats.set(key, made);
  }
  return made;
}

export const RANGES = ['1h', '6h', '24h', '7d', '30d'];

/** Seconds of `15m`, `6h`, `7d`. */
export function seconds(range) {
  const found = /^(\d+)([smhd])$/.exec(range ?? '');
  return found ? Number(found[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[found[2]] : null;
}
