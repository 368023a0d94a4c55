// The address is the state: pages by pushState, filters by replaceState.

import { computed, signal } from '@preact/signals-core';

const place = signal(read());

function read() {
  const { pathname = '/', search = '' } = globalThis.location ?? {};
  return { path: pathname, query: Object.fromEntries(new URLSearchParams(search)) };
}

export const path = computed(() => place.value.path);
export const query = computed(() => place.value.query);

/** Scroll positions of the pages in this tab's history. */
const scrolls = new Map();

/** Follows links, and the buttons back and forward. */
export function startRouter() {
  history.scrollRestoration = 'manual';
  addEventListener('popstate', () => {
    place.value = read();
    requestAnimationFrame(() => scrollTo(0, scrolls.get(history.state?.key) ?? 0));
  });
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || !isOurs(link, event)) return;
    event.preventDefault();
    go(link.getAttribute('href'));
  });
}

function isOurs(link, event) {
  if (event.defaultPrevented || event.button !== 0) return false;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  const served = /^\/(api|docs|ws|assets)(\/|$)/.test(link.pathname);
  return link.origin === location.origin && !link.target && !link.hasAttribute('download') && !served;
}

/** Opens a page. The chain and the time range go along unless the address names its own. */
export function go(href) {
  const target = new URL(href, location.href);
  for (const name of ['chain', 'range', 'time', 'lang', 'theme']) {
    const value = place.peek().query[name];
    if (value && !target.searchParams.has(name)) target.searchParams.set(name, value);
  }
  scrolls.set(history.state?.key, scrollY);
  history.pushState({ key: Math.random() }, '', target.pathname + target.search);
  place.value = read();
  scrollTo(0, 0);
}

/** Changes filters of the page: what is empty leaves the address. */
export function filter(changes) {
  const next = { ...place.peek().query, ...changes };
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(next)) {
    if (value !== undefined && value !== null && value !== '' && value !== false) search.set(name, value);
  }
  const text = search.toString();
  history.replaceState(history.state, '', place.peek().path + (text ? `?${text}` : ''));
  place.value = read();
}

/** A link to a page with its filters. */
export function link(to, filters = {}) {
  const search = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  const text = search.toString();
  return text ? `${to}?${text}` : to;
}

/** The values of a pattern such as `/wallet/:address`, or null. */
export function match(pattern, text) {
  const names = pattern.split('/');
  const parts = text.replace(/\/$/, '').split('/');
  if (pattern === '/') return text === '/' ? {} : null;
  if (names.length !== parts.length) return null;
  const values = {};
  for (const [index, name] of names.entries()) {
    if (name.startsWith(':')) values[name.slice(1)] = decodeURIComponent(parts[index]);
    else if (name !== parts[index]) return null;
  }
  return values;
}
