// Small charts as SVG. Each says in words what it shows.

import { html } from './html.js';

const WIDTH = 100;

/** A line of values without axes. Gaps (null) stay gaps. */
export function Spark({ values, label, height = 28, tone = 'accent', area = true }) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return html`<span class="spark-none" style=${{ height: `${height}px` }}></span>`;
  const least = Math.min(...known);
  const range = Math.max(...known) - least || 1;
  const x = (index) => (index / (values.length - 1)) * WIDTH;
  const y = (value) => height - 3 - ((value - least) / range) * (height - 6);
  let line = '';
  let isOpen = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      isOpen = false;
      continue;
    }
    line += `${isOpen ? 'L' : 'M'}${x(index).toFixed(2)} ${y(value).toFixed(2)}`;
    isOpen = true;
  }
  const below = `${line}L${WIDTH} ${height}L0 ${height}Z`;
  return html`<svg class=${`spark stroke-${tone}`} viewBox=${`0 0 ${WIDTH} ${height}`} height=${height} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${area && html`<path class="area" d=${below} />`}<path class="line" d=${line} />
  </svg>`;
}

/** Bars of counts, stacked by tone. `bars` are `{label, parts: [{tone, value}]}`. */
export function Histogram({ bars, label, height = 72, first, middle, last }) {
  const most = Math.max(1, ...bars.map((bar) => bar.parts.reduce((total, part) => total + part.value, 0)));
  const step = WIDTH / bars.length;
  const rects = [];
  for (const [index, bar] of bars.entries()) {
    let top = height;
    for (const part of bar.parts) {
      if (!part.value) continue;
      const size = Math.max(2, (part.value / most) * (height - 4));
      top -= size;
      rects.push(html`<rect class=${`fill-${part.tone}`} x=${index * step + step * 0.12} y=${top} width=${step * 0.76} height=${size}><title>${bar.label}</title></rect>`);
    }
  }
  return html`<figure class="histogram">
    <svg viewBox=${`0 0 ${WIDTH} ${height}`} height=${height} preserveAspectRatio="none" role="img" aria-label=${label}>
      <path class="base" d=${`M0 ${height - 0.5}H${WIDTH}`} />${rects}
    </svg>
    <figcaption><span>${first}</span>${middle}<span>${last}</span></figcaption>
  </figure>`;
}

/** In above the line, out below it. `bars` are `{label, into, out}` with shares between 0 and 1. */
export function InOut({ bars, label, height = 120 }) {
  const step = WIDTH / Math.max(1, bars.length);
  const middle = height / 2;
  return html`<svg class="in-out" viewBox=${`0 0 ${WIDTH} ${height}`} height=${height} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${bars.map((bar, index) => html`<g><title>${bar.label}</title>
      <rect class="fill-good" x=${index * step + step * 0.15} width=${step * 0.7} y=${middle - bar.into * (middle - 2)} height=${bar.into * (middle - 2)} />
      <rect class="fill-accent" x=${index * step + step * 0.15} width=${step * 0.7} y=${middle} height=${bar.out * (middle - 2)} />
    </g>`)}
    <path class="base" d=${`M0 ${middle}H${WIDTH}`} />
  </svg>`;
}

/** The last runs of a check: one stroke each, tall where it went well. */
export function Strip({ runs, label }) {
  return html`<svg class="strip" viewBox=${`0 0 ${runs.length * 4} 16`} width=${runs.length * 4} height="16" role="img" aria-label=${label}>
    ${runs.map((run, index) => html`<rect class=${`fill-${run.tone}`} x=${index * 4} y=${run.tone === 'good' ? 3 : 0} width="3" height=${run.tone === 'good' ? 10 : 16}><title>${run.title}</title></rect>`)}
  </svg>`;
}

/** A share as a bar, with the number beside it. */
export function Meter({ value, tone = 'accent', label }) {
  const width = `${Math.round(Math.max(0, Math.min(1, value)) * 1000) / 10}%`;
  return html`<span class="meter" role="img" aria-label=${label}><span class=${`fill tone-fill-${tone}`} style=${{ width }}></span></span>`;
}
