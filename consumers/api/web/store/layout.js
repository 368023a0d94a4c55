// Where the nodes of a graph stand: the same answer is always drawn the same. The middle, then rings by how far a node is from it.

/** The place that a graph is laid out in, in units of its drawing. */
export const PLACE = { width: 1000, height: 640 };
/** Room for names beside the outermost nodes. */
const MARGIN = { x: 120, y: 52 };

/** Places of nodes by address: `{x, y, angle}`, with the middle at 0, 0. Nodes of the second ring stand behind whom they dealt with most. */
export function layoutOf({ root, nodes, edges }) {
  const places = new Map([[root, { x: 0, y: 0, angle: 0 }]]);
  const near = nodes.filter((node) => node.level === 1);
  const far = nodes.filter((node) => node.level > 1);
  const behind = new Map(near.map((node) => [node.address, []]));
  const orphans = [];
  for (const node of far) (behind.get(nearestOf(node.address, edges, behind)) ?? orphans).push(node);
  const radius = { x: PLACE.width / 2 - MARGIN.x, y: PLACE.height / 2 - MARGIN.y };
  const inner = far.length ? 0.46 : 1;
  const weights = near.map((node) => Math.max(1, behind.get(node.address).length));
  const whole = weights.reduce((all, one) => all + one, orphans.length);
  // Half of the round is shared equally, half by how many stand behind.
  const shareOf = (weight) => (weight / whole + (1 - orphans.length / whole) / near.length) / 2;
  let turn = 0;
  for (const [index, node] of near.entries()) {
    const share = shareOf(weights[index]);
    // Many on one ring stand in two rows, so that each can be pressed.
    const step = !far.length && near.length > 16 && index % 2 ? 0.74 : 1;
    places.set(node.address, at(turn + share / 2, radius, inner * step));
    ring(behind.get(node.address), turn, share, radius, places);
    turn += share;
  }
  ring(orphans, turn, 1 - turn, radius, places);
  return places;
}

/** The node of the inner ring that moved most with it. */
function nearestOf(address, edges, inner) {
  let best = null;
  for (const edge of edges) {
    const other = edge.from === address ? edge.to : edge.to === address ? edge.from : null;
    if (other === null || !inner.has(other)) continue;
    const weight = Number(edge.usd) || edge.transfers / 1e6;
    if (!best || weight > best.weight) best = { other, weight };
  }
  return best?.other;
}

function ring(nodes, turn, share, radius, places) {
  for (const [index, node] of nodes.entries()) {
    const step = nodes.length > 8 && index % 2 ? 0.82 : 1;
    places.set(node.address, at(turn + ((index + 0.5) / nodes.length) * share, radius, step));
  }
}

/** A place on an ellipse; it begins at the right, where names have most room. */
function at(turn, radius, size) {
  const angle = turn * 2 * Math.PI;
  return { x: Math.round(Math.cos(angle) * radius.x * size), y: Math.round(Math.sin(angle) * radius.y * size), angle };
}

/** How wide an edge is, by its dollars: from 1 to 7. */
export function widthOf(usd) {
  const value = Number(usd);
  return value > 1 ? Math.min(7, 1 + Math.log10(value) * 0.8) : 1;
}
