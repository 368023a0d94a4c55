// A text of rules: written, checked as it is written, tried on what the streams still hold. Nothing here changes what is in force.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import * as number from '../store/number.js';
import { hoursOfTrial, trialOf } from '../store/shapes.js';
import * as time from '../store/time.js';
import { Histogram } from './chart.js';
import { save } from './export.js';
import { html, Icon } from './html.js';
import { useDelayed } from './live.js';
import { Empty, Panel, say, Skeleton, Trouble } from './panel.js';
import { copyText, safe, State, Time } from './values.js';

const SPANS = ['1h', '6h', '24h'];
const MAX_TEXT = 60_000;

/** `name` is that of the file that is offered. */
export function Workshop({ text: first, name }) {
  const [text, setText] = useState(first);
  const [check, setCheck] = useState({ answer: null, problem: null });
  const [trial, setTrial] = useState({ answer: null, problem: null, pending: false, of: '' });
  const [span, setSpan] = useState('1h');
  const box = useRef(null);
  const asking = useRef(null);
  const look = async (toml) => {
    asking.current?.abort();
    const abort = new AbortController();
    asking.current = abort;
    try {
      const answer = await ask('/rules/check', { method: 'POST', body: { toml }, signal: abort.signal });
      setCheck({ answer, problem: null });
    } catch (problem) {
      if (!abort.signal.aborted) setCheck({ answer: null, problem });
    }
  };
  const later = useDelayed(look, 500);
  useEffect(() => {
    look(text);
    return () => asking.current?.abort();
  }, []);
  const change = (event) => {
    setText(event.target.value);
    later(event.target.value);
  };
  const attempt = async (since = span) => {
    setSpan(since);
    setTrial({ ...trial, problem: null, pending: true });
    try {
      const answer = await ask('/rules/test', { method: 'POST', body: { toml: text, since: `-${since}` } });
      setTrial({ answer, problem: null, pending: false, of: text });
    } catch (problem) {
      setTrial({ answer: null, problem, pending: false, of: text });
    }
  };
  /** Puts the cursor where a mistake is. */
  const jump = ({ line, column }) => {
    const before = text.split('\n').slice(0, line - 1).reduce((all, one) => all + one.length + 1, 0);
    const place = before + Math.max(0, (column ?? 1) - 1);
    box.current.focus();
    box.current.setSelectionRange(place, place);
  };
  const isSound = check.answer?.sound ?? false;
  return html`<div class="workshop">
    <${Panel} title=${t('rule.text')} note=${html`<${Verdict} check=${check} />`} actions=${html`<${Take} text=${text} name=${name} />`}>
      <textarea ref=${box} class="mono" rows=${Math.min(30, text.split('\n').length + 2)} spellcheck="false" maxlength=${MAX_TEXT} aria-label=${t('rule.text')} aria-describedby="mistakes" onInput=${change}>${first}</textarea>
      <div id="mistakes">${check.problem && html`<${Trouble} problem=${check.problem} again=${() => look(text)} />`}
        <${Mistakes} items=${check.answer?.problems ?? []} tone="bad" jump=${jump} /><${Mistakes} items=${check.answer?.warnings ?? []} tone="warn" jump=${jump} /></div>
      <p class="muted">${t('rule.where', { name })}</p>
    <//>
    <${Panel} title=${t('rule.trial')} actions=${html`<span class="chips">${SPANS.map((one) => html`<button type="button" class="chip" aria-pressed=${one === span ? 'true' : 'false'} disabled=${!isSound || trial.pending} onClick=${() => attempt(one)}>${t(`range.${one}`)}</button>`)}</span>
      <button type="button" class="primary" disabled=${!isSound || trial.pending} onClick=${() => attempt()}>${t('rule.try')}</button>`}>
      ${trial.pending && html`<${Skeleton} height=${120} />`}
      ${trial.problem && html`<${Trouble} problem=${trial.problem} again=${() => attempt()} />`}
      ${trial.answer && !trial.pending && html`<${Trial} answer=${trial.answer} isOld=${trial.of !== text} />`}
      ${!trial.answer && !trial.problem && !trial.pending && html`<${Empty} title=${t('rule.untried')} hint=${t('rule.untried.hint')} />`}
    <//>
  </div>`;
}

function Verdict({ check }) {
  if (!check.answer) return null;
  const { sound, rules, examples } = check.answer;
  return sound
    ? html`<${State} tone="good">${t('rule.sound', { count: rules.length })}<//>${examples > 0 && html` <span class="muted">${t('rule.examples', { count: examples })}</span>`}`
    : html`<${State} tone="bad">${t('rule.unsound', { count: check.answer.problems.length })}<//>`;
}

/** What is wrong, where, and how to correct it; a press leads there. */
function Mistakes({ items, tone, jump }) {
  if (items.length === 0) return null;
  return html`<ul class="mistakes">${items.map((one) => html`<li>
    <${State} tone=${tone}>${one.line ? html`<button type="button" class="link" onClick=${() => jump(one)}>${t('rule.at', { line: one.line, column: one.column ?? 1 })}</button>` : t('rule.text')}<//>
    <span>${safe(one.message, 500)}${one.hint && html` <span class="muted">${safe(one.hint, 500)}</span>`}</span></li>`)}</ul>`;
}

/** The text to where it belongs: nothing is written on the server. */
function Take({ text, name }) {
  const keep = () => save(new Blob([text], { type: 'application/toml' }), `${name}.toml`);
  return html`<button type="button" onClick=${() => copyText(text, say)}>${t('copy')}</button><button type="button" onClick=${keep}><${Icon} name="down" /> ${t('download')}</button>`;
}

function Trial({ answer, isOld }) {
  const trial = trialOf(answer);
  const spoken = (ms) => time.short(ms);
  return html`${isOld && html`<p class="fold">${t('rule.changed')}</p>`}
    ${trial.missing.map((one) => html`<p class="banner tone-warn">${safe(one, 300)}</p>`)}
    <p class="muted">${t('rule.read', { count: number.count(trial.messages), since: spoken(trial.since), until: spoken(trial.until) })}</p>
    ${trial.rules.map((rule) => html`<section key=${rule.id} class="trial" aria-label=${rule.id}>
      <h3>${safe(rule.id)}</h3>
      <dl class="mini">
        <div><dt>${t('rule.fired')}</dt><dd>${number.count(rule.fired)}</dd></div>
        <div><dt>${t('rule.hourly')}</dt><dd>${number.amount(rule.hourly)}</dd></div>
        <div><dt>${t('rule.matched')}</dt><dd>${number.count(rule.matched)} / ${number.count(rule.evaluated)}</dd></div>
        <div><dt>${t('rule.collected')}</dt><dd>${number.count(rule.collected)}</dd></div>
        ${rule.unpriced > 0 && html`<div><dt>${t('rule.unpriced')}</dt><dd>${number.count(rule.unpriced)}</dd></div>`}
        ${rule.errors > 0 && html`<div><dt>${t('rule.errors')}</dt><dd class="tone-bad">${number.count(rule.errors)}</dd></div>`}
      </dl>
      <${Hours} rule=${rule} trial=${trial} />
      ${rule.samples.length > 0 && html`<ul class="samples">${rule.samples.map((one) => html`<li><span class="muted"><${Time} at=${one.at_us} /></span>
        <span><span class="strong">${safe(one.title)}</span>${(one.lines ?? []).map((line) => html`<br /><span class="muted">${safe(line)}</span>`)}</span></li>`)}</ul>`}
    </section>`)}`;
}

function Hours({ rule, trial }) {
  const hours = hoursOfTrial(rule, trial);
  const bars = hours.map((hour) => ({ label: `${time.short(hour.at)}: ${hour.fired}`, parts: [{ tone: 'info', value: hour.fired }] }));
  return html`<${Histogram} bars=${bars} label=${t('rule.hours', { count: rule.fired })} height=${48} first=${time.minute(trial.since)} last=${time.minute(trial.until)} />`;
}
