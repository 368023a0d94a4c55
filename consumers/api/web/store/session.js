// Who is asking. A session is a cookie that no script can read: a key or a code is sent once, to begin one, and kept nowhere.

import { computed, signal } from '@preact/signals-core';
import { ask } from './api.js';

/** What `/me` said: name, role and scopes. `null` until it answered. */
export const me = signal(null);
/** The API asks for a key. */
export const needsKey = signal(false);
/** How often a session began or ended: what was asked before is asked again. */
export const changes = signal(0);

export const scopes = computed(() => new Set(me.value?.scopes ?? []));

/** Whether the reader may do this. */
export function may(scope) {
  return scopes.value.has(scope);
}

/** Begins a session of a key, or of a code as `crypto-intel keys login` prints it. Throws the problem of one that does not count. */
export async function enter({ key, code }) {
  await ask('/session', { method: 'POST', bearer: key?.trim(), body: code ? { code } : undefined });
  changes.value += 1;
}

/** Ends the session. Where there is none, or the server is away, the page asks for a key all the same. */
export async function leave() {
  await ask('/session', { method: 'DELETE' }).catch(() => {});
  changes.value += 1;
  needsKey.value = true;
}
