// Tables: semantic, sortable where all rows are there, two-line cards where the place is narrow.

import { Component } from 'preact';
import { useState } from 'preact/hooks';
import { t } from '../store/i18n.js';
import { classes, html } from './html.js';

/**
 * `columns`: `{key, title, render(row), end, sort(a, b), card, wide}`. `card` is the place in a card of a narrow page: `a` and `b` in
 * its first line, `c` and `d` in its second; columns without one are left out there.
 */
export function Table({ caption, columns, rows, keyOf, onOpen, rowClass, selected, foot }) {
  const [order, setOrder] = useState(null);
  const column = columns.find((one) => one.key === order?.key);
  const sorted = column?.sort ? [...rows].sort((a, b) => column.sort(a, b) * order.way) : rows;
  const turn = (key) => setOrder((old) => (old?.key === key ? (old.way === -1 ? { key, way: 1 } : null) : { key, way: -1 }));
  return html`<div class="table"><table role="table">
    <caption class="hidden">${caption}</caption>
    <thead role="rowgroup"><tr role="row">
      ${columns.map((one) => html`<${Head} key=${one.key} column=${one} order=${order} turn=${turn} />`)}
    </tr></thead>
    <tbody role="rowgroup">
      ${sorted.map((row) => html`<${Row} key=${keyOf(row)} name=${keyOf(row)} row=${row} columns=${columns} onOpen=${onOpen}
        className=${rowClass?.(row)} selected=${selected !== undefined && keyOf(row) === selected} />`)}
    </tbody>
  </table>${foot}</div>`;
}

function Head({ column, order, turn }) {
  const isSorted = order?.key === column.key;
  const way = isSorted ? (order.way === 1 ? 'ascending' : 'descending') : undefined;
  const look = classes(column.end && 'end', column.wide);
  if (!column.sort) return html`<th role="columnheader" scope="col" class=${look}>${column.title}</th>`;
  return html`<th role="columnheader" scope="col" class=${look} aria-sort=${way ?? 'none'}>
    <button type="button" class="sort" onClick=${() => turn(column.key)}>${column.title}<span aria-hidden="true">${way ? (order.way === 1 ? '▲' : '▼') : ''}</span></button>
  </th>`;
}

/** A row is drawn again only when it, its columns or its look changed: live lists have hundreds. */
class Row extends Component {
  shouldComponentUpdate(next) {
    const now = this.props;
    return next.row !== now.row || next.columns !== now.columns || next.className !== now.className || next.selected !== now.selected;
  }

  render({ name, row, columns, onOpen, className, selected }) {
    const open = onOpen && ((event) => {
      if (event.target.closest('a, button')) return;
      if (getSelection()?.toString()) return;
      onOpen(row);
    });
    const press = onOpen && ((event) => {
      if (event.key === 'Enter' && event.target === event.currentTarget) onOpen(row);
    });
    return html`<tr role="row" data-key=${name} class=${classes(className, onOpen && 'opens', selected && 'selected')} tabindex=${onOpen ? 0 : undefined} onClick=${open} onKeyDown=${press}>
      ${columns.map((column) => html`<td role="cell" class=${classes(column.end && 'end', column.wide, column.card ? `card-${column.card}` : 'card-none')}>${column.render(row)}</td>`)}
    </tr>`;
  }
}

/** Buttons to newer and older pages of a list that has a cursor. */
export function Pages({ list, isFirst, go }) {
  // The first page has a cursor of what is newer, too; a live list needs none.
  if (!list?.next && isFirst) return null;
  return html`<nav class="pages" aria-label=${t('pages')}>
    <button type="button" disabled=${isFirst || !list?.prev} onClick=${() => go(list.prev)}>‹ ${t('newer')}</button>
    <button type="button" disabled=${!list?.next} onClick=${() => go(list.next)}>${t('older')} ›</button>
  </nav>`;
}
