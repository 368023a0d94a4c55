// The frame around every page: header, truth line, navigation.

import { signal } from '@preact/signals-core';
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { alertsSummary, chainsOf } from './store/shapes.js';
import { t } from './store/i18n.js';
import { offers } from './store/offers.js';
import { live } from './store/live.js';
import { filter, match, path, query } from './store/route.js';
import { me, may, needsKey, useKey } from './store/session.js';
import { clock, language, theme } from './store/settings.js';
import * as time from './store/time.js';
import { html } from './parts/html.js';
import { Icon } from './parts/icon.js';
import { askForHelp, Help } from './parts/keys.js';
import { Empty, Skeleton, useResource } from './parts/panel.js';
import { Say } from './parts/say.js';
import { Search } from './parts/search.js';
import { TruthLine } from './parts/truth.js';
import { Login } from './pages/login.js';
import { PAGES } from './pages.js';

const THEMES = ['auto', 'light', 'dark'];
const CLOCKS = ['utc', 'local', 'age'];

/** The newest block of each chain that was told live, between two answers of the API. */
const heads = signal(new Map());

function takeBlocks(message) {
  const blocks = (message.events ?? []).filter((event) => event.kind === 'block' && !event.removed);
  if (blocks.length === 0) return;
  const next = new Map(heads.peek());
  for (const block of blocks) next.set(block.chain, { head: block.block_number, headAt: block.block_time_us / 1000 });
  heads.value = next;
}

function current(chain) {
  const told = heads.value.get(chain.chain);
  return told && told.head > chain.head ? { ...chain, ...told } : chain;
}

/** The page of an address, with the values in it. */
export function pageOf(address) {
  for (const page of PAGES) {
    const values = match(page.path, address);
    if (values) return { page, values };
  }
  return { page: null, values: {} };
}

export function Shell() {
  const chains = useResource(needsKey.value ? null : '/chains', {}, 5000);
  const summary = useResource(needsKey.value || !may('alerts') || !offers('get /alerts/summary') ? null : '/alerts/summary', {}, 30_000);
  const isAllowed = !needsKey.value && may('alerts');
  useEffect(() => {
    // An alert changes the counts in the truth line; and the line knows whether live events arrive.
    if (!isAllowed) return undefined;
    return live.subscribe({ service: 'alerts' }, (message) => message.type === 'events' && summary.again());
  }, [isAllowed]);
  useEffect(() => (me.value ? live.subscribe({ service: 'explorers', kinds: ['block'] }, takeBlocks) : undefined), [me.value]);
  const { page, values } = pageOf(path.value);
  const known = chainsOf(chains.data).map(current);
  const title = page?.title ? t(page.title) : null;
  useEffect(() => {
    document.title = title ? `${title} · crypto-intel` : 'crypto-intel';
  }, [title]);
  if (needsKey.value) return html`<${Login} /><${Say} />`;
  return html`
    <a class="skip" href="#main">${t('skip')}</a>
    <${Header} chains=${known} />
    <${TruthLine} chains=${known} resource=${chains} alerts=${alertsSummary(summary.data)} />
    <div class="frame">
      <${Navigation} current=${page?.name} />
      <main id="main" tabindex="-1">
        ${time.clockIsWrong.value && html`<p class="banner">${t('clock wrong', { span: time.span(time.offset.value / 1000) })}</p>`}
        <${Page} key=${path.value} page=${page} values=${values} chains=${known} />
      </main>
    </div>
    <${Help} pages=${PAGES} /><${Say} />`;
}

function Page({ page, values, chains }) {
  const [loaded, setLoaded] = useState(null);
  const [error, reset] = useErrorBoundary((caught) => console.error(caught));
  useEffect(() => {
    let isOpen = true;
    page?.load().then(
      (module) => isOpen && setLoaded(() => module.default),
      (problem) => isOpen && setLoaded(() => () => html`<${Broken} error=${problem} />`),
    );
    return () => {
      isOpen = false;
    };
  }, [page]);
  if (!page) return html`<${Empty} title=${t('no page')} hint=${t('no page.hint')} action=${html`<a class="button" href="/">${t('page.overview')}</a>`} />`;
  if (error) return html`<${Broken} error=${error} again=${reset} />`;
  const View = loaded;
  return View ? html`<${View} ...${values} chains=${chains} query=${query.value} />` : html`<${Skeleton} height=${420} />`;
}

function Broken({ error, again }) {
  return html`<div class="trouble" role="alert"><${Icon} name="warn" />
    <div><p class="strong">${t('broken')}</p><p class="mono">${String(error?.message ?? error)}</p></div>
    <button type="button" onClick=${again ?? (() => location.reload())}>${t('retry')}</button></div>`;
}

function Header({ chains }) {
  const chain = query.value.chain ?? '';
  const range = query.value.range ?? '24h';
  return html`<header class="top">
    <a class="brand" href="/" aria-label="crypto-intel"><svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" /><path d="M5 18h5l3-9 6 15 3-8h5" /></svg><span>crypto-intel</span></a>
    <${Search} chains=${chains.map((one) => one.chain)} />
    <div class="controls">
      <label class="pick"><span class="hidden">${t('chain')}</span>
        <select value=${chain} onChange=${(event) => filter({ chain: event.target.value, cursor: '' })}>
          <option value="">${t('all chains')}</option>
          ${chains.map((one) => html`<option value=${one.chain} selected=${one.chain === chain}>${one.chain}</option>`)}
        </select></label>
      <label class="pick"><span class="hidden">${t('range')}</span>
        <select value=${range} onChange=${(event) => filter({ range: event.target.value, cursor: '' })}>
          ${time.RANGES.map((one) => html`<option value=${one} selected=${one === range}>${t(`range.${one}`)}</option>`)}
        </select></label>
      <${Choice} label=${t('clock')} icon="clock" text=${clock.value === 'local' ? time.zoneName() : t(`clock.${clock.value}`)} onClick=${() => { clock.value = next(CLOCKS, clock.value); }} />
      <${Choice} label=${t('language')} text=${language.value.toUpperCase()} onClick=${() => { language.value = language.value === 'en' ? 'es' : 'en'; }} />
      <${Choice} label=${t(`theme.${theme.value}`)} icon=${{ auto: 'auto', light: 'sun', dark: 'moon' }[theme.value]} onClick=${() => { theme.value = next(THEMES, theme.value); }} />
      <${User} />
    </div>
  </header>`;
}

function next(values, value) {
  return values[(values.indexOf(value) + 1) % values.length];
}

function Choice({ label, icon, text, onClick }) {
  return html`<button type="button" class="choice" title=${label} aria-label=${text ? `${label}: ${text}` : label} onClick=${onClick}>
    ${icon && html`<${Icon} name=${icon} />`}${text && html`<span>${text}</span>`}
  </button>`;
}

function User() {
  const { name, role } = me.value ?? {};
  if (!role) return null;
  return html`<details class="menu"><summary><${Icon} name="user" /><span class="wide">${role}</span><span class="hidden">${t('user')}</span></summary>
    <div><p class="strong">${name}</p><p class="muted">${t('role', { role })}</p>
      <button type="button" onClick=${askForHelp}>${t('keys')}</button>
      <button type="button" onClick=${() => { useKey(''); needsKey.value = true; }}>${t('other key')}</button></div></details>`;
}

function Navigation({ current }) {
  const shown = PAGES.filter((page) => page.title && (!page.scope || may(page.scope)) && (!page.needs || offers(page.needs)));
  return html`<nav class="side" aria-label=${t('navigation')}>
    ${shown.map((page) => html`<a href=${page.path} aria-current=${page.name === current ? 'page' : undefined}>
      <${Icon} name=${page.name} size="18" /><span>${t(page.title)}</span></a>`)}
  </nav>`;
}
