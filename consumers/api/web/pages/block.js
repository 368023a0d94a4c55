// One block: what its marker says.

import { t } from '../store/i18n.js';
import * as number from '../store/number.js';
import { finalityOf } from '../store/shapes.js';
import { Facts, Raw } from '../parts/drawer.js';
import { html } from '../parts/html.js';
import { Panel, useResource } from '../parts/panel.js';
import { Copy, Finality, Time } from '../parts/values.js';

export default function Block({ chain, number: height, chains }) {
  const found = useResource(`/blocks/${chain}/${height}`, {}, 0);
  const at = found.data?.items ?? [];
  const block = at.find((one) => one.canonical) ?? at[0] ?? {};
  const around = (step) => `/block/${chain}/${Number(height) + step}`;
  return html`<div class="page">
    <div class="head"><h1>${t('block')} <span class="number">${number.count(Number(height))}</span> <span class="muted">${chain}</span></h1><span class="space"></span>
      <a class="button" href=${around(-1)} aria-label=${t('block.before')}>‹</a><a class="button" href=${around(1)} aria-label=${t('block.after')}>›</a></div>
    <${Panel} title=${t('facts')} resource=${found} height=${240} isEmpty=${at.length === 0} empty=${{ title: t('block.none'), hint: t('block.none.hint') }}>
      <${Facts} items=${[
        [t('finality'), html`<${Finality} value=${finalityOf({ chain, removed: block.canonical === false, block_number: Number(height) }, chains)} />`],
        [t('time'), html`<${Time} at=${block.block_time_us} always="age" />`],
        [t('hash'), html`<span class="mono break">${block.block_hash}</span> <${Copy} text=${block.block_hash} />`],
        [t('transactions'), block.transactions !== undefined && number.count(block.transactions)],
        [t('events'), block.event_rows !== undefined && number.count(block.event_rows)],
        [t('gas'), block.gas_used !== undefined && `${number.exact(block.gas_used)} / ${number.exact(block.gas_limit)}`],
        [t('base fee'), block.base_fee_per_gas && `${number.amount(number.fromUnits(block.base_fee_per_gas, 9))} gwei`],
        [t('partial'), block.partial && t('partial.why')],
        [t('parent'), block.parent_hash && html`<span class="mono break">${block.parent_hash}</span>`],
      ]} />
      <a class="button" href=${`/transactions?chain=${chain}`}>${t('page.transactions')}</a>
      ${at.length > 1 && html`<p class="banner">${t('block.others', { count: at.length - 1 })}</p>`}
      <${Raw} value=${at} />
    <//>
  </div>`;
}
