// The frame around every page: header, truth line, navigation.

import { signal } from '@preact/signals-core';
import { useEffect, useErrorBoundary, useRef, useState } from 'preact/hooks';
import { alertsSummary, chainsOf } from './store/shapes.js';
import { clock, language, t, theme } from './store/i18n.js';
import { offers } from './store/offers.js';
import { live } from './store/live.js';
import { filter, match, path, query } from './store/route.js';
import { leave, me, may, needsKey } from './store/session.js';
import * as time from './store/time.js';
import { html, Icon } from './parts/html.js';
import { askForHelp, isHelping } from './parts/keys.js';
import { Empty, Say, Skeleton, useResource } from './parts/panel.js';
import { Search } from './parts/search.js';
import { TruthLine } from './parts/truth.js';
import { safe, shortAddress } from './parts/values.js';

/** What a page's module shows. */
const page = (load) => () => load().then((module) => module.default);

/**
 * The pages. Each is a module of its own, loaded when it is opened. `key` is the second letter of its shortcut; `scope` and `needs` the right and the
 * route that it cannot do without; without `title` it is not in the navigation;
 * `range` is the time range that it shows where the address names none.
 */
export const PAGES = [
  { path: '/', name: 'overview', title: 'page.overview', key: 'o', load: page(() => import('./pages/overview.js')) },
  { path: '/transactions', name: 'transactions', title: 'page.transactions', key: 't', load: page(() => import('./pages/transactions.js')) },
  { path: '/transactions/:chain/:hash', name: 'transactions', load: page(() => import('./pages/transaction.js')) },
  { path: '/token/:chain/:address', name: 'transactions', range: '7d', load: page(() => import('./pages/token.js')) },
  { path: '/pool/:chain/:pool', name: 'transactions', range: '7d', load: page(() => import('./pages/pool.js')) },
  { path: '/wallets', name: 'wallets', title: 'page.wallets', key: 'w', load: page(() => import('./pages/wallets.js')) },
  { path: '/wallet/:address', name: 'wallets', range: '7d', load: page(() => import('./pages/wallet.js')) },
  { path: '/alerts', name: 'alerts', title: 'page.alerts', key: 'a', scope: 'alerts', needs: 'get /alerts', load: page(() => import('./pages/alerts.js')) },
  { path: '/rules', name: 'rules', title: 'page.rules', key: 'r', scope: 'alerts', needs: 'get /rules', load: page(() => import('./pages/rules.js')) },
  { path: '/rules/new', name: 'rules', load: page(() => import('./pages/rule-new.js')) },
  { path: '/rule/:name', name: 'rules', load: page(() => import('./pages/rule.js')) },
  { path: '/market', name: 'market', title: 'page.market', key: 'm', scope: 'market', needs: 'get /market/summary', load: page(() => import('./pages/market.js')) },
  { path: '/signals', name: 'signals', title: 'page.signals', key: 's', scope: 'market', needs: 'get /market/articles', load: page(() => import('./pages/signals.js')) },
  { path: '/graph', name: 'graph', title: 'page.graph', key: 'n', needs: 'get /graph', load: page(() => import('./pages/graph.js')) },
  { path: '/providers', name: 'providers', title: 'page.providers', key: 'p', scope: 'ops', needs: 'get /status', load: page(() => import('./pages/providers.js')) },
  { path: '/admin', name: 'admin', title: 'page.admin', key: 'k', scope: 'keys', needs: 'get /keys', load: page(() => import('./pages/admin.js')) },
  { path: '/block/:chain/:number', name: 'overview', load: page(() => import('./pages/block.js')) },
  { path: '/about', name: 'about', title: 'page.about', load: page(() => import('./pages/about.js')) },
];

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
  // A page of one thing is called after it.
  const title = page?.title ? t(page.title) : safe(shortAddress(Object.values(values).at(-1) ?? ''));
  useEffect(() => {
    document.title = title ? `${title} · crypto-intel` : 'crypto-intel';
  }, [title]);
  if (needsKey.value) return html`<${Later} load=${LOGIN} /><${Say} />`;
  return html`
    <a class="skip" href="#main">${t('skip')}</a>
    <${Header} chains=${known} usual=${page?.range ?? '24h'} />
    <${TruthLine} chains=${known} resource=${chains} alerts=${alertsSummary(summary.data)} />
    <div class="frame">
      <${Navigation} current=${page?.name} />
      <main id="main" tabindex="-1">
        ${time.clockIsWrong.value && html`<p class="banner">${t('clock wrong', { span: time.span(time.offset.value / 1000) })}</p>`}
        <${Page} key=${path.value} page=${page} values=${values} chains=${known} />
      </main>
    </div>
    ${isHelping.value && html`<${Later} load=${HELP} pages=${PAGES} onClose=${() => { isHelping.value = false; }} />`}<${Say} />`;
}

/** Parts that the first view does without. */
const LOGIN = () => import('./pages/login.js').then((module) => module.Login);
const HELP = () => import('./parts/help.js').then((module) => module.Help);

/** A part that is loaded when it is shown; `load` gives its component. */
function Later({ load, height, ...properties }) {
  const [View, setView] = useState(null);
  useEffect(() => {
    let isOpen = true;
    load().then(
      (found) => isOpen && setView(() => found),
      (problem) => isOpen && setView(() => () => html`<${Broken} error=${problem} />`),
    );
    return () => {
      isOpen = false;
    };
  }, [load]);
  return View ? html`<${View} ...${properties} />` : height && html`<${Skeleton} height=${height} />`;
}

function Page({ page, values, chains }) {
  const [error, reset] = useErrorBoundary((caught) => console.error(caught));
  if (!page) return html`<${Empty} title=${t('no page')} hint=${t('no page.hint')} action=${html`<a class="button" href="/">${t('page.overview')}</a>`} />`;
  if (error) return html`<${Broken} error=${error} again=${reset} />`;
  return html`<${Later} load=${page.load} height=${420} ...${values} chains=${chains} query=${query.value} />`;
}

function Broken({ error, again }) {
  return html`<div class="trouble" role="alert"><${Icon} name="warn" />
    <div><p class="strong">${t('broken')}</p><p class="mono">${String(error?.message ?? error)}</p></div>
    <button type="button" onClick=${again ?? (() => location.reload())}>${t('retry')}</button></div>`;
}

function Header({ chains, usual }) {
  const chain = query.value.chain ?? '';
  const range = query.value.range ?? usual;
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
      <button type="button" onClick=${leave}>${t('other key')}</button></div></details>`;
}

function Navigation({ current }) {
  const shown = PAGES.filter((page) => page.title && (!page.scope || may(page.scope)) && (!page.needs || offers(page.needs)));
  const bar = useRef(null);
  // On a phone the bar is wider than the page: where we are is seen.
  useEffect(() => {
    const here = bar.current?.querySelector('[aria-current]');
    if (here) bar.current.scrollLeft = here.offsetLeft - (bar.current.clientWidth - here.offsetWidth) / 2;
  }, [current, shown.length]);
  return html`<nav class="side" ref=${bar} aria-label=${t('navigation')}>
    ${shown.map((page) => html`<a href=${page.path} aria-current=${page.name === current ? 'page' : undefined}>
      <${Icon} name=${page.name} size="18" /><span>${t(page.title)}</span></a>`)}
  </nav>`;
}
