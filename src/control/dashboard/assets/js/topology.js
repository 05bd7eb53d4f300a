// The way of requests: listener → route → pool → target, with the state of each.

import { at, h, keyed, set, text } from './dom.js';
import { number } from './format.js';
import { rate } from './rates.js';
import { condition, flow, takesWork } from './targets.js';

/** Nodes of a column that are drawn; the rest is counted. */
const MOST = 40;
const TITLES = { listener: 'Listeners', route: 'Routes', pool: 'Pools', target: 'Targets' };
const SVG = 'http://www.w3.org/2000/svg';

const columns = {};
let lines;
let edges = [];

/** What is told of all columns, as `{id, name, more, state, word, rate, to: [ids]}`. */
function nodes(listeners, routes, pools) {
  const pool = (name) => (name ? [`pool ${name}`] : []);
  const known = new Set(pools.map(({ name }) => name));
  return {
    listener: listeners.map((one) => ({
      id: `listener ${one.name}`, name: one.name, more: `${one.protocol}${one.tls ? ' + TLS' : ''}  ${one.addresses.join(', ')}`,
      state: 'well', word: 'listens',
      rate: one.protocol === 'http' ? rate(`listener ${one.name}`, one.requests) : rate(`listener ${one.name}`, one.accepted || one.datagrams || 0),
      to: [...routes.filter((route) => route.listeners.includes(one.name)).map((route) => `route ${route.name}`), ...pool(one.pool)],
    })),
    route: routes.map((one) => {
      const [requests, errors] = [rate(`route ${one.name}`, one.requests), rate(`route ${one.name} errors`, one.errors)];
      const share = requests ? errors / requests : 0;
      const where = [one.methods.join(' '), one.hosts.join(', '), one.paths.join(', ')].filter(Boolean).join(' ');
      return {
        id: `route ${one.name}`, name: one.name, more: where || 'everything', rate: requests,
        state: share > 0.05 ? 'bad' : share > 0 ? 'warn' : 'well', word: share > 0 ? 'answers with errors' : one.action,
        to: known.has(one.pool) ? pool(one.pool) : [],
      };
    }),
    pool: pools.map((one) => {
      const up = one.targets.filter(takesWork).length;
      const fewer = up < one.targets.length;
      return {
        id: `pool ${one.name}`, name: one.name, more: `${up} of ${one.targets.length} take work, ${one.balance}`,
        rate: rate(`pool ${one.name}`, one.requests), to: one.targets.map((target) => `target ${one.name} ${target.address}`),
        state: up === 0 ? 'bad' : fewer || one.panic ? 'warn' : 'well', word: up === 0 ? 'no target takes work' : one.panic ? 'panic' : fewer ? 'reduced' : 'well',
      };
    }),
    target: pools.flatMap((pool) => pool.targets.map((one) => {
      const [kind, word] = condition(one, pool);
      return {
        id: `target ${pool.name} ${one.address}`, name: one.address, more: `${word}, ${number(one.in_flight)} in flight`, word: '', state: kind,
        rate: flow(pool, one).requests, to: [],
      };
    })),
  };
}

function make() {
  const [name, more, speed] = [h('strong'), h('span', { class: 'more' }), h('span', { class: 'rate' })];
  const [mark, word, to] = [h('span', { class: 'mark', 'aria-hidden': 'true' }), h('span', { class: 'sr' }), h('span', { class: 'to' })];
  const element = h('li', { class: 'node' }, h('span', { class: 'line' }, mark, name, word, speed), more, to);
  const update = (node) => {
    element.id = node.id;
    set(element, 'data-state', node.state);
    text(name, node.name);
    text(word, node.word && `, ${node.word}`);
    text(more, node.more);
    text(speed, node.rate == null ? '' : `${number(node.rate)}/s`);
    const next = node.to.filter((id) => !id.startsWith('target')).map((id) => id.split(' ')[1]);
    text(to, next.length ? `→ ${next.slice(0, 6).join(', ')}${next.length > 6 ? ' …' : ''}` : '');
  };
  return [element, update];
}

/** Curves between what is drawn. */
function draw() {
  const box = lines.parentElement.getBoundingClientRect();
  if (!box.width || getComputedStyle(lines).display === 'none') return;
  lines.setAttribute('viewBox', `0 0 ${box.width} ${box.height}`);
  const curves = edges.flatMap(([from, to, state]) => {
    const [a, b] = [document.getElementById(from), document.getElementById(to)].map((one) => one?.getBoundingClientRect());
    if (!a || !b) return [];
    const [x, y, u, v] = [a.right - box.left, a.top + a.height / 2 - box.top, b.left - box.left, b.top + b.height / 2 - box.top];
    const bend = Math.min(60, (u - x) / 2);
    const curve = document.createElementNS(SVG, 'path');
    curve.setAttribute('d', `M${x} ${y}C${u - bend} ${y} ${x + bend} ${v} ${u} ${v}`);
    curve.setAttribute('class', state);
    return [curve];
  });
  lines.replaceChildren(...curves);
}

/** Shows it, and gives what shows it anew. */
export function start() {
  const map = at('map');
  lines = document.createElementNS(SVG, 'svg');
  lines.setAttribute('aria-hidden', 'true');
  map.append(lines);
  for (const [kind, title] of Object.entries(TITLES)) {
    const [nodes, rest] = [h('ul'), h('p', { class: 'quiet' })];
    columns[kind] = { nodes, rest };
    map.append(h('div', { class: 'column' }, h('h3', {}, title), nodes, rest));
  }
  new ResizeObserver(draw).observe(map);
  return (listeners, routes, pools) => {
    const all = nodes(listeners, routes, pools);
    const drawn = Object.fromEntries(Object.entries(all).map(([kind, of]) => [kind, chosen(of)]));
    for (const [kind, { nodes, rest }] of Object.entries(columns)) {
      keyed(nodes, drawn[kind], ({ id }) => id, make);
      const left = all[kind].length - drawn[kind].length;
      text(rest, left ? `and ${number(left)} more` : all[kind].length ? '' : 'none');
    }
    const state = new Map(Object.values(drawn).flat().map((node) => [node.id, node.state]));
    edges = Object.values(drawn).flat().flatMap((node) => node.to.map((to) => [node.id, to, state.get(to) ?? '']));
    draw();
  };
}

/** Those that are drawn: if there are too many, what is in trouble and what is busiest. */
function chosen(nodes) {
  if (nodes.length <= MOST) return nodes;
  const rank = { bad: 0, warn: 1 };
  const weight = (node) => (rank[node.state] ?? 2) * 1e12 - (node.rate ?? 0);
  const most = new Set([...nodes].sort((a, b) => weight(a) - weight(b)).slice(0, MOST));
  return nodes.filter((node) => most.has(node));
}
