// Messages that could not be handled: why, what they hold, and what is done about them.

import { useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import { offers } from '../store/offers.js';
import { may } from '../store/session.js';
import { Drawer, Facts, Raw } from './drawer.js';
import { html } from './html.js';
import { Panel, say, useResource } from './panel.js';
import { Sure } from './sure.js';
import { Table } from './table.js';
import { safe, Time } from './values.js';

/** Only its letters can be handed back: the others' messages are read again from their streams. */
const HANDED_BACK = 'notify';
const mayChange = () => may('ops:write') && offers('delete /dead-letters/{sequence}');

export function DeadLetters() {
  const [open, setOpen] = useState(null);
  const found = useResource('/dead-letters', { limit: 50 }, 60_000);
  const rows = found.data?.items ?? [];
  const consumers = [...new Set(rows.map((row) => row.consumer))].sort();
  const done = () => {
    setOpen(null);
    found.again();
  };
  const columns = [
    { key: 'time', title: t('time'), card: 'b', render: (row) => html`<${Time} at=${row.at_us} />` },
    { key: 'consumer', title: t('letter.consumer'), card: 'a', render: (row) => html`<span class="strong">${safe(row.consumer)}</span>` },
    { key: 'subject', title: t('letter.subject'), card: 'd', render: (row) => html`<span class="mono detail" title=${safe(row.subject)}>${safe(row.subject)}</span>` },
    { key: 'error', title: t('letter.error'), card: 'c', render: (row) => html`<span class="tone-bad detail" title=${safe(row.error)}>${safe(row.error)}</span>` },
  ];
  const all = mayChange() && consumers.map((consumer) => html`<${All} key=${consumer} consumer=${consumer} onDone=${done} />`);
  return html`<${Panel} flush title=${t('dead letters')} actions=${all} resource=${found} isEmpty=${rows.length === 0} height=${80} empty=${{ title: t('no dead letter'), hint: t('no dead letter.hint') }}>
    <${Table} caption=${t('dead letters')} columns=${columns} rows=${rows} keyOf=${(row) => row.dlq_sequence} onOpen=${setOpen} />
    ${open && html`<${Letter} letter=${open} onClose=${() => setOpen(null)} onDone=${done} />`}
  <//>`;
}

/** What is done about all letters of a consumer. */
function All({ consumer, onDone }) {
  const name = safe(consumer);
  const told = (answer) => {
    const gone = answer.handed_back.length + answer.removed.length;
    say(t('letters.done', { count: gone, left: answer.refused.length }));
    onDone();
  };
  const retry = async () => told(await ask('/dead-letters/retry', { method: 'POST', parameters: { consumer } }));
  const remove = async () => told(await ask('/dead-letters', { method: 'DELETE', parameters: { consumer } }));
  return html`${consumer === HANDED_BACK && html`<${Sure} label=${t('letters.retry', { consumer: name })} question=${t('letters.retry.sure', { consumer: name })} act=${retry} />`}
    <${Sure} label=${t('letters.remove', { consumer: name })} question=${t('letters.remove.sure', { consumer: name })} act=${remove} />`;
}

function Letter({ letter, onClose, onDone }) {
  const path = `/dead-letters/${letter.dlq_sequence}`;
  const retry = async () => {
    const back = await ask(`${path}/retry`, { method: 'POST' });
    say(t('letter.handed back', { to: back.destinations.map((one) => safe(one)).join(', ') }));
    onDone();
  };
  const remove = async () => {
    await ask(path, { method: 'DELETE' });
    say(t('letter.removed'));
    onDone();
  };
  const actions = mayChange() && html`
    ${letter.consumer === HANDED_BACK && html`<${Sure} label=${t('letter.retry')} question=${t('letter.retry.sure')} act=${retry} />`}
    <${Sure} label=${t('letter.remove')} question=${t('letter.remove.sure')} act=${remove} />`;
  return html`<${Drawer} title=${t('letter', { sequence: letter.dlq_sequence })} onClose=${onClose} actions=${actions}>
    <${Facts} items=${[
      [t('letter.error'), html`<span class="tone-bad">${safe(letter.error, 4000)}</span>`],
      [t('letter.consumer'), safe(letter.consumer)],
      [t('time'), html`<${Time} at=${letter.at_us} always="age" />`],
      [t('chain'), letter.chain],
      [t('letter.subject'), html`<code>${safe(letter.subject)}</code>`],
      [t('stream'), html`${safe(letter.stream)} <span class="number">#${letter.sequence}</span>`],
      [t('letter.not shown'), safe(letter.not_shown)],
    ]} />
    <${Raw} value=${letter.event ?? letter} />
  <//>`;
}
