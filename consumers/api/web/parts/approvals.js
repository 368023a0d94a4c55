// Who may move the tokens of an address.

import { t, term } from '../store/i18n.js';
import * as number from '../store/number.js';
import { filter } from '../store/route.js';
import { approvalsOf } from '../store/token-shapes.js';
import { html } from './html.js';
import { States, useResource } from './panel.js';
import { Table } from './table.js';
import { Address, Amount, safe, Time, TokenName, Transaction } from './values.js';

export function Approvals({ address, query }) {
  const parameters = { chain: query.chain, unlimited: query.unlimited ? 'true' : undefined, limit: 500 };
  const found = useResource(`/wallets/${address}/approvals`, parameters, 60_000);
  const rows = approvalsOf(found.data);
  const columns = [
    { key: 'token', title: t('token'), card: 'a', render: (row) => html`<${TokenName} chain=${row.chain} address=${row.token} symbol=${row.symbol} verified=${row.verified} /> <span class="muted">${row.chain}</span>` },
    { key: 'spender', title: t('approval.spender'), card: 'c', render: (row) => html`<${Address} ...${row.spender} />` },
    { key: 'what', title: t('approval.what'), end: true, card: 'b', render: (row) => html`<${Bound} row=${row} />` },
    { key: 'since', title: t('approval.since'), end: true, card: 'd', sort: (a, b) => a.at - b.at, render: (row) => html`<${Time} at=${row.at} />` },
    { key: 'transaction', title: t('transaction'), wide: 'wider', render: (row) => html`<${Transaction} chain=${row.chain} hash=${row.hash} block=${row.block} />` },
  ];
  return html`<p class="muted">${t('approval.note')}</p>
    <p><label class="check"><input type="checkbox" checked=${Boolean(query.unlimited)} onChange=${(event) => filter({ unlimited: event.target.checked ? '1' : '' })} /> ${t('approval.only unlimited')}</label></p>
    ${(found.data?.warnings ?? []).map((warning) => html`<p class="banner tone-warn">${safe(warning)}</p>`)}
    <${States} resource=${found} height=${320} isEmpty=${rows.length === 0} empty=${{ title: t('approval.none'), hint: t('approval.none.hint') }}>
    <${Table} caption=${t('tab.approvals')} columns=${columns} rows=${rows} keyOf=${(row) => row.key} /><//>`;
}

/** How much of it may be moved. */
function Bound({ row }) {
  if (row.kind === 'collection') return html`<span class="mark tone-warn">${term('approval.kind', 'collection')}</span>`;
  if (row.kind === 'nft') return html`<span class="number" title=${row.id}>#${safe(row.id, 12)}</span>`;
  if (row.unlimited) return html`<span class="mark tone-warn" title=${number.exact(row.value)}>${t('unlimited')}</span>`;
  if (row.amount !== null) return html`<${Amount} value=${row.amount} />`;
  return html`<span class="amount" title=${row.value}><span class="number">${number.compact(row.value)}</span> <span class="muted">${t('units')}</span></span>`;
}
