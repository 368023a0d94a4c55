// Who is asking. A key stays in this tab only, and goes into headers, never into addresses.

import { computed, signal } from '@preact/signals-core';

const NAME = 'crypto-intel.key';

function stored() {
  try {
    return globalThis.sessionStorage?.getItem(NAME) ?? '';
  } catch {
    return '';
  }
}

export const key = signal(stored());
/** What `/me` said: name, role and scopes. `null` until it answered. */
export const me = signal(null);
/** The API asks for a key. */
export const needsKey = signal(false);

export const scopes = computed(() => new Set(me.value?.scopes ?? []));

/** Whether the reader may do this. */
export function may(scope) {
  return scopes.value.has(scope);
}

/** Takes another key, or none. */
export function useKey(text) {
  key.value = text.trim();
  try {
    if (key.value) sessionStorage.setItem(NAME, key.value);
    else sessionStorage.removeItem(NAME);
  } catch {
    // Then it lasts as long as the page.
  }
}
