// Questions to the API: problems as objects, unchanged answers by ETag, what is no longer wanted is aborted.

import { signal } from '@preact/signals-core';
import { serverSaid } from './time.js';

export const BASE = '/api/v1';
const MAX_KEPT = 200;
const TIMEOUT = 20_000;

/** A failed question, as RFC 9457 says it. */
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail || fields.title);
    this.name = 'Problem';
    Object.assign(this, fields);
  }

  get isForbidden() {
    return this.status === 401 || this.status === 403;
  }
}

const kept = new Map();

/** The address of a question. Parameters may be lists; what is empty is left out. */
export function url(path, parameters = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') search.append(name, String(one));
    }
  }
  const text = search.toString();
  return `${BASE}${path}${text ? `?${text}` : ''}`;
}

/** Keys of changes whose outcome is not known yet: who asks for the same again asks by the same key, and it is made once. */
const unanswered = new Map();

function keyOf(change) {
  // Not `randomUUID`, which pages without TLS do not have.
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (!unanswered.has(change)) unanswered.set(change, random());
  return unanswered.get(change);
}

/** Whether an answer leaves open what became of a change. */
function isOpen(answer) {
  return answer.status >= 500 || (answer.status === 409 && answer.headers.has('retry-after'));
}

/** Asks, and returns the answer's body. */
export async function ask(path, { parameters, method = 'GET', body, bearer, signal: abort } = {}) {
  const address = url(path, parameters);
  const headers = { Accept: 'application/json' };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const before = method === 'GET' ? kept.get(address) : undefined;
  if (before) headers['If-None-Match'] = before.etag;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const text = body === undefined ? undefined : JSON.stringify(body);
  // What begins a session is kept nowhere.
  const change = method === 'GET' || path === '/session' ? null : `${method} ${address} ${text ?? ''}`;
  if (change) headers['Idempotency-Key'] = keyOf(change);
  const signals = [AbortSignal.timeout(TIMEOUT), ...(abort ? [abort] : [])];
  let answer;
  try {
    // `no-store`: the memory above is the cache, and it survives no reload.
    answer = await fetch(address, { method, headers, body: text, signal: AbortSignal.any(signals), cache: 'no-store' });
  } catch (error) {
    if (abort?.aborted) throw error;
    throw new Problem({ type: 'unreachable', status: 0, title: '', detail: '' });
  }
  if (change && !isOpen(answer)) unanswered.delete(change);
  serverSaid(Date.parse(answer.headers.get('date') ?? '') + 500);
  if (answer.status === 304 && before) return before.body;
  return read(answer, address, method);
}

/** The problem that an answer which is none tells. */
export function problemOf(answer, json) {
  return new Problem({
    type: 'about:blank',
    title: answer.statusText,
    detail: '',
    instance: answer.headers.get('x-request-id') ?? '',
    retryAfter: Number(answer.headers.get('retry-after')) || null,
    ...(json ?? {}),
    status: answer.status,
  });
}

async function read(answer, address, method) {
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw problemOf(answer, json);
  const etag = answer.headers.get('etag');
  if (etag && method === 'GET') keep(address, { etag, body: json });
  return json;
}

function keep(address, entry) {
  kept.delete(address);
  kept.set(address, entry);
  if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value);
}

/** Forgets all answers: another key may see other things. */
export function forgetAnswers() {
  kept.clear();
}

/**
 * A question that is asked again and again. Old data stays while a new answer is awaited or fails; `at` says of when it is.
 */
export class Resource {
  constructor(path, { parameters = {}, every = 0 } = {}) {
    this.path = path;
    this.parameters = parameters;
    this.every = every;
    this.state = signal({ data: null, problem: null, at: null, pending: true });
    this.abort = null;
    this.timer = null;
    this.wake = () => {
      if (!document.hidden && this.isDue()) this.load();
    };
  }

  isDue() {
    return this.every > 0 && Date.now() - (this.asked ?? 0) >= this.every;
  }

  start() {
    document.addEventListener('visibilitychange', this.wake);
    this.load();
    return () => this.stop();
  }

  stop() {
    document.removeEventListener('visibilitychange', this.wake);
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  async load() {
    clearTimeout(this.timer);
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.asked = Date.now();
    this.state.value = { ...this.state.peek(), pending: true };
    try {
      const data = await ask(this.path, { parameters: this.parameters, signal: abort.signal });
      if (!abort.signal.aborted) this.state.value = { data, problem: null, at: Date.now(), pending: false };
    } catch (problem) {
      if (abort.signal.aborted) return;
      this.state.value = { ...this.state.peek(), problem, pending: false };
    }
    this.plan();
  }

  plan() {
    if (!this.every) return;
    const { problem } = this.state.peek();
    const wait = Math.max(this.every, (problem?.retryAfter ?? 0) * 1000);
    this.timer = setTimeout(() => {
      if (!document.hidden) this.load();
    }, wait);
  }
}
