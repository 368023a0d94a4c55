// Templates without a build: tagged strings to elements of Preact; and symbols.

import htm from 'htm';
import { h } from 'preact';

export const html = htm.bind(h);

/** Names of classes, without the absent ones. */
export function classes(...names) {
  return names.filter(Boolean).join(' ') || undefined;
}

/** Symbols, drawn by strokes on a grid of 16. */
const PATHS = {
  overview: 'M2 2h5v6H2zM9 2h5v4H9zM9 8h5v6H9zM2 10h5v4H2z',
  transactions: 'M2 5h11M10 2l3 3-3 3M14 11H3M6 8l-3 3 3 3',
  wallets: 'M2 4h11v9H2zM2 4l8-2v2M10 8h4v2h-4z',
  alerts: 'M8 2a4 4 0 0 1 4 4c0 4 1.5 5 1.5 5h-11S4 10 4 6a4 4 0 0 1 4-4zM6.5 13.500a1.6 1.6 0 0 0 3 0',
  market: 'M2 13h12M3 11V8M6.3 11V4M9.7 11V6M13 11V2',
  providers: 'M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.1M4.5 11h.1M7.5 5h4M7.5 11h4',
  admin: 'M5.500 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM7.700 8.100L13.500 14M11 11.300l1.800-1.800',
  signals: 'M2 8h2.500l2-5 3 10 2-5H14',
  graph: 'M4 2.500a1.5 1.5 0 1 0 0 3 1.500 1.500 0 0 0 0-3zM12 5.500a1.500 1.500 0 1 0 0 3 1.500 1.500 0 0 0 0-3zM5 10.500a1.500 1.500 0 1 0 0 3 1.500 1.500 0 0 0 0-3zM5.400 4.600l5.200 1.800M10.800 8l-4.600 3',
  rules: 'M3 3h10M3 8h6M3 13h4M10.500 12l2 2 2.500-4',
  down: 'M8 2.500v8M4.500 7.500L8 11l3.500-3.500M3 13.500h10',
  about: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.500v3.500M8 5h.01',
  search: 'M7 2.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.500L14 14',
  copy: 'M5.5 5.500h8v8h-8zM10.5 5.500v-3h-8v8h3',
  check: 'M3 8.500l3.5 3.500L13 4.5',
  cross: 'M4 4l8 8M12 4l-8 8',
  warn: 'M8 2.500L14.5 13.500h-13zM8 6.500v3.500M8 12h.01',
  pause: 'M5.5 3v10M10.5 3v10',
  play: 'M5 3l8 5-8 5z',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13 9.500A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.500z',
  auto: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 2v12',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.500V8l2.5 1.5',
  user: 'M8 2.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM3 13.500c.5-3 2.5-4 5-4s4.5 1 5 4',
  right: 'M6 3l5 5-5 5',
  left: 'M10 3L5 8l5 5',
  external: 'M6.5 3.500h-4v10h10v-4M9.5 2.500h4v4M13.5 2.500l-6 6',
  add: 'M8 3v10M3 8h10',
  filter: 'M2 3h12l-4.5 5.500V13l-3-1.500v-3z',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  mute: 'M3 6v4h2.500L9 13V3L5.5 6zM11.5 6l3 4M14.5 6l-3 4',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.500a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z',
  link: 'M6.5 9.500l3-3M7 4.500l1.5-1.500a2.8 2.8 0 0 1 4 4L11 8.500M9 11.500L7.5 13a2.8 2.8 0 0 1-4-4L5 7.5',
};

export function Icon({ name, label, size = 16 }) {
  const hidden = label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' };
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" ...${hidden}>
    <path d=${PATHS[name] ?? PATHS.more} />
  </svg>`;
}

/** A filled shape for a state, which says by its form what its colour says. */
const SHAPES = {
  good: 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z',
  warn: 'M8 2.500L14 13H2z',
  bad: 'M5.5 2.500h5L13.5 5.500v5l-3 3h-5l-3-3v-5z',
  info: 'M8 2.500L13.5 8 8 13.5 2.5 8z',
  none: 'M8 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z',
};

export function Shape({ tone }) {
  return html`<svg class=${`shape tone-${tone}`} width="10" height="10" viewBox="0 0 16 16" aria-hidden="true">
    <path d=${SHAPES[tone] ?? SHAPES.none} />
  </svg>`;
}
