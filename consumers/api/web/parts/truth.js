// One line on every page: is it connected, how current is each chain, is it well, what is open.

import { useEffect } from 'preact/hooks';
import { t, term } from '../store/i18n.js';
import { connection, rate } from '../store/live.js';
import * as number from '../store/number.js';
import * as time from '../store/time.js';
import { html } from './html.js';
import { lateness, speak } from './panel.js';
import { Age, State } from './values.js';

const SOCKET_TONES = { live: 'good', connecting: 'info', waiting: 'warn', silent: 'bad', refused: 'bad', hidden: 'none', off: 'none' };

/** How well a chain is followed, by the age of its head against its pace. */
export function chainTone(chain, nowMs) {
  if (chain.headAt === null) return 'none';
  const seconds = (nowMs - chain.headAt) / 1000;
  const pace = Math.max(2, chain.blockSeconds ?? 12);
  return seconds > pace * 10 + 30 ? 'bad' : seconds > pace * 3 + 5 ? 'warn' : 'good';
}

export function TruthLine({ chains, resource, alerts }) {
  const socket = connection.value;
  const late = lateness(resource, time.now.value - time.offset.value);
  const open = alerts.filter((one) => one.count > 0);
  const worst = chains.find((chain) => chainTone(chain, time.now.value) === 'bad');
  const problem = resource.problem ? t('unreachable') : null;
  useEffect(() => {
    if (problem ?? worst) speak(problem ?? t('chain late', { chain: worst.chain }));
  }, [problem, worst?.chain]);
  return html`<section class="truth" aria-label=${t('truth')}>
    <${State} tone=${SOCKET_TONES[socket] ?? 'none'}>${t(`socket.${socket}`)}${socket === 'live' && rate.value > 0 && html` <span class="number muted">${t('per second', { count: number.count(rate.value) })}</span>`}<//>
    ${problem && html`<${State} tone="bad">${problem}<//>`}
    ${late !== 'fresh' && !problem && html`<${State} tone=${late === 'late' ? 'warn' : 'bad'}>${t('answers late')}<//>`}
    ${chains.map((chain) => html`<${Chain} key=${chain.chain} chain=${chain} />`)}
    <span class="space"></span>
    ${open.map((one) => html`<a href=${`/alerts?severity=${one.severity}`}><${State} tone=${{ critical: 'bad', warning: 'warn' }[one.severity] ?? 'info'}>
      <span class="number">${number.count(one.count)}</span> ${term('severity', one.severity)}<//></a>`)}
  </section>`;
}

function Chain({ chain }) {
  const tone = chainTone(chain, time.now.value);
  const facts = [
    t('truth.head', { number: number.count(chain.head) }),
    chain.final !== null && t('truth.final', { number: number.count(chain.final) }),
    chain.verified !== null && t('truth.verified', { number: number.count(chain.verified) }),
  ].filter(Boolean);
  return html`<span title=${facts.join('\n')}><${State} tone=${tone}>
    <span class="strong">${chain.chain}</span> <span class="number">${number.count(chain.head)}</span>
    ${chain.headAt !== null && html` <span class="muted"><${Age} at=${chain.headAt * 1000} /></span>`}
    ${chain.final !== null && html` <span class="muted wide">${t('truth.final.short', { count: number.count(Math.max(0, chain.head - chain.final)) })}</span>`}
  <//></span>`;
}
