// Templates without a build: tagged strings to elements of Preact.

import htm from 'htm';
import { h } from 'preact';

export const html = htm.bind(h);

/** Names of classes, without the absent ones. */
export function classes(...names) {
  return names.filter(Boolean).join(' ') || undefined;
}
