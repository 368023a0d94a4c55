// Lists as files: read as they come, and whether they came whole.

import { problemOf, url } from './api.js';

/** Bytes that are held one by one before they become a part of the file, which a browser keeps on its disk. */
const MAX_LOOSE = 8 << 20;

/** Gets a file; `onBytes` is told how much has come. */
export async function download(path, { parameters, signal: abort, onBytes }) {
  const answer = await fetch(url(path, parameters), { signal: abort, cache: 'no-store' });
  if (!answer.ok) throw problemOf(answer, await answer.json().catch(() => null));
  let whole = new Blob([]);
  let loose = [];
  let [bytes, waiting] = [0, 0];
  const reader = answer.body.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    loose.push(value);
    bytes += value.length;
    waiting += value.length;
    if (waiting > MAX_LOOSE) {
      whole = new Blob([whole, ...loose]);
      [loose, waiting] = [[], 0];
    }
    onBytes?.(bytes);
  }
  return new Blob([whole, ...loose], { type: answer.headers.get('content-type') ?? '' });
}

/** What the last record of a file says: `{items, next}`. Null where it is missing, so that the file was cut on its way. */
export async function fileEnd(blob, format) {
  const text = await blob.slice(Math.max(0, blob.size - 4096)).text();
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  if (format === 'csv') {
    const found = /^end,(\d+),(?:.*,)?"?([\w-]*)"?\r?$/.exec(last);
    return found && found[2] !== 'failed' ? { items: Number(found[1]), next: found[2] || null } : null;
  }
  try {
    const { end, items, next, problem } = JSON.parse(last);
    return end === true && !problem ? { items, next } : null;
  } catch {
    return null;
  }
}
