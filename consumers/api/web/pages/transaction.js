// One transaction: every event of it, in its order.

import { useEffect, useState } from 'preact/hooks';
import { ask } from '../store/api.js';
import { t } from '../store/i18n.js';
import { go } from '../store/route.js';
import { finalityOf } from '../store/shapes.js';
import { Facts, Raw } from '../parts/drawer.js';
import { eventColumns } from '../parts/events.js';
import { html } from '../parts/html.js';
import { Empty, Panel, Skeleton, States, useResource } from '../parts/panel.js';
import { Table } from '../parts/table.js';
import { Address, Block, Copy, Finality, Time } from '../parts/values.js';

export default function Transaction(properties) {
  return properties.chain === 'any' ? html`<${Somewhere} ...${properties} />` : html`<${Whole} ...${properties} />`;
}

/** A hash without its chain: every chain is asked, and the first that knows it is opened. */
function Somewhere({ hash, chains }) {
  const [isNowhere, setNowhere] = useState(false);
  const names = chains.map((one) => one.chain).join();
  useEffect(() => {
    const abort = new AbortController();
    const asked = names.split(',').filter(Boolean).map((chain) => ask(`/transactions/${chain}/${hash}`, { signal: abort.signal }));
    if (asked.length === 0) return undefined;
    Promise.any(asked).then(
      (found) => go(`/transactions/${found.chain}/${hash}?block=${found.block_number}`),
      () => !abort.signal.aborted && setNowhere(true),
    );
    return () => abort.abort();
  }, [names, hash]);
  return html`<div class="page"><div class="head"><h1>${t('transaction')}</h1></div><p class="mono break">${hash}</p>
    ${isNowhere ? html`<${Empty} title=${t('transaction.none')} hint=${t('transaction.none.hint')} />` : html`<${Skeleton} height=${240} />`}</div>`;
}

function Whole({ chain, hash, query, chains }) {
  const found = useResource(`/transactions/${chain}/${hash}`, { block: query.block }, 0);
  const events = found.data?.events ?? [];
  const [head] = events;
  return html`<div class="page">
    <div class="head"><h1>${t('transaction')}</h1></div>
    <p class="mono break">${hash} <${Copy} text=${hash} label=${t('copy.hash')} /></p>
    <${States} resource=${found} isEmpty=${events.length === 0} height=${240} empty=${{ title: t('transaction.none'), hint: t('transaction.none.hint') }}>
      ${head && html`<${Panel} title=${t('facts')}><${Facts} items=${[
        [t('finality'), html`<${Finality} value=${finalityOf(head, chains)} />`],
        [t('chain'), head.chain],
        [t('block'), html`<${Block} chain=${head.chain} number=${head.block_number} />`],
        [t('time'), html`<${Time} at=${head.block_time_us} always="age" />`],
        [t('from'), html`<${Address} address=${head.tx_from} quiet=${false} />`],
        [t('to.party'), html`<${Address} address=${head.tx_to} quiet=${false} />`],
        [t('method'), head.method && html`<code>${head.method}</code>`],
      ]} /><//>
      <${Panel} flush title=${t('events of it', { count: events.length })}>
        <${Table} caption=${t('events of it', { count: events.length })} rows=${events.map((event) => ({ event }))} keyOf=${(row) => row.event.id}
          columns=${eventColumns({ chains, narrow: ['kind', 'parties', 'amount', 'usd'] })} />
      <//>
      <${Raw} value=${found.data} />`}
    <//>
  </div>`;
}
