// A panel and its states: loading, empty, error, stale, forbidden. Each looks the same everywhere. And what is told beside the page: short
// notices for eyes, and one region for screen readers.

import { signal } from '@preact/signals-core';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Resource, url } from '../store/api.js';
import { t } from '../store/i18n.js';
import * as time from '../store/time.js';
import { classes, html, Icon } from './html.js';
import { Copy } from './values.js';

/** A question that belongs to a component: asked again when its parameters change, ended with it. */
export function useResource(path, parameters = {}, every = 0) {
  const name = path ? url(path, parameters) : null;
  const [last] = useState({ data: null });
  const resource = useMemo(() => (path ? new Resource(path, { parameters, every }) : null), [name, every]);
  useEffect(() => resource?.start(), [resource]);
  const state = resource?.state.value ?? { data: null, problem: null, at: null, pending: false };
  // While another question is open, the answer to the last one stays, greyed.
  if (state.data) last.data = state.data;
  const shown = state.data ?? (state.problem ? null : last.data);
  return { ...state, data: shown, isOld: !state.data && Boolean(shown), every, name, again: () => resource?.load() };
}

/** How late data is: `fresh`, `late` after three intervals, `stale` after ten. */
export function lateness(resource, nowMs) {
  if (!resource.at || !resource.every) return 'fresh';
  const intervals = (nowMs - resource.at) / resource.every;
  return intervals > 10 ? 'stale' : intervals > 3 ? 'late' : 'fresh';
}

/** A titled box. `resource` gives its states; `empty` says why there is nothing, and what to do. */
export function Panel({ title, actions, resource, isEmpty, empty, height = 120, children, flush, note, level = 2 }) {
  return html`<section class=${classes('panel', flush && 'flush')} aria-label=${title}>
    <header>
      ${level === 2 ? html`<h2>${title}</h2>` : html`<h3>${title}</h3>`}${note && html`<span class="note muted">${note}</span>`}
      <span class="actions">${actions}<${Source} resource=${resource} /></span>
    </header>
    <div class="body"><${States} ...${{ resource, isEmpty, empty, height }}>${children}<//></div>
  </section>`;
}

export function States({ resource, isEmpty, empty, height = 120, children }) {
  const problem = resource?.problem;
  if (resource && !resource.data && problem) return html`<${Trouble} problem=${problem} again=${resource.again} />`;
  if (resource && !resource.data) return html`<${Skeleton} height=${height} />`;
  if (isEmpty) return html`<${Empty} ...${empty} />`;
  const old = resource?.isOld || problem;
  return html`${problem && html`<${Trouble} problem=${problem} again=${resource.again} at=${resource.at} />`}
    <div class=${classes('content', old && 'old')} aria-busy=${resource?.pending ? 'true' : undefined}>${children}</div>`;
}

/** Where data is from: its age when late, and the request as a command. */
function Source({ resource }) {
  if (!resource?.name) return null;
  const late = lateness(resource, time.now.value - time.offset.value);
  const age = resource.at && late !== 'fresh' ? time.span((time.now.value - time.offset.value - resource.at) / 1000) : null;
  const command = `curl -s '${location.origin}${resource.name}'`;
  return html`${age && html`<span class=${`note tone-${late === 'late' ? 'warn' : 'bad'}`}><${Icon} name="clock" size="12" /> ${t('as of', { span: age })}</span>`}
    <${Copy} text=${command} label=${t('copy.request')} />`;
}

export function Skeleton({ height }) {
  const lines = Math.max(1, Math.round(height / 28));
  return html`<div class="skeleton" style=${{ minHeight: `${height}px` }} role="status" aria-label=${t('loading')}>
    ${Array.from({ length: lines }, (_, index) => html`<span style=${{ width: `${92 - ((index * 17) % 40)}%` }}></span>`)}
  </div>`;
}

export function Empty({ title, hint, action }) {
  return html`<div class="empty"><p class="strong">${title}</p>${hint && html`<p class="muted">${hint}</p>`}${action}</div>`;
}

/** A failed question, in the words of the problem. */
export function Trouble({ problem, again, at }) {
  const offline = problem.status === 0;
  const missing = /scope[^`"']*[`"']([a-z]+:[a-z]+)/.exec(problem.detail ?? '')?.[1];
  const title = offline ? t('unreachable') : problem.status === 403 ? t('forbidden') : problem.title || t('failed');
  const detail = offline ? t('unreachable.hint') : problem.detail;
  return html`<div class=${classes('trouble', at && 'slim')} role="alert">
    <${Icon} name="warn" />
    <div>
      <p class="strong">${title}</p>
      ${detail && html`<p>${detail}</p>`}
      ${missing && html`<p class="muted">${t('forbidden.scope', { scope: missing })}</p>`}
      ${at && html`<p class="muted">${t('old data', { span: time.age(at + time.offset.value) })}</p>`}
      ${problem.instance && html`<p class="muted mono">${t('request', { id: problem.instance })}</p>`}
    </div>
    ${again && html`<button type="button" onClick=${again}>${t('retry')}</button>`}
  </div>`;
}

const notice = signal(null);
const spoken = signal('');
const SPEAK_MS = 10_000;
let last = 0;
let waiting = null;

/** Shows a notice for a moment. */
export function say(text) {
  notice.value = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    notice.value = null;
  }, 2500);
}

/** Has a screen reader speak, at most every ten seconds; later texts replace those that wait. */
export function speak(text) {
  clearTimeout(waiting);
  const wait = Math.max(0, last + SPEAK_MS - Date.now());
  waiting = setTimeout(() => {
    last = Date.now();
    spoken.value = text;
  }, wait);
}

export function Say() {
  return html`<div class="hidden" role="status" aria-live="polite">${spoken.value || notice.value}</div>
    ${notice.value && html`<div class="notice" aria-hidden="true">${notice.value}</div>`}`;
}
