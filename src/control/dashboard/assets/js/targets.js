// Targets: how they are, and what operators do with them.

import { ask, piece } from './api.js';
import { confirm, note } from './dialog.js';
import { at, h, set, text } from './dom.js';
import { count, number, percent } from './format.js';
import { rate } from './rates.js';
import { mayChange } from './session.js';
import { state, table } from './table.js';

const RANK = { bad: 0, warn: 1, idle: 2, well: 3 };
let changed = () => {};

/** What a target is at a glance: `[kind, word]`. */
export function condition(target, pool) {
  if (target.state === 'maintenance') return ['idle', 'maintenance'];
  if (target.state === 'drain') return ['idle', 'draining'];
  if (!target.up) return ['bad', 'down'];
  if (target.ejected) return ['warn', `ejected: ${target.ejected.reason}`];
  if (target.weight.in_force === 0) return ['idle', 'no weight'];
  if (target.slow_start != null) return ['well', `slow start, ${target.slow_start} %`];
  return ['well', pool.checked ? 'up' : 'up, unchecked'];
}

/** Whether it takes new work. */
export const takesWork = (target) => target.state === 'ready' && target.up && !target.ejected && target.weight.in_force > 0;

/** What a second does, and which share of it fails. */
export function flow(pool, target) {
  const key = `${pool.name}/${target.address}`;
  const [requests, errors] = [rate(`${key} requests`, target.requests), rate(`${key} errors`, target.errors)];
  return { requests, errors, share: requests ? Math.min(1, errors / requests) : 0 };
}

const COLUMNS = [
  { title: 'Target', kind: 'name', draw: (cell, { target }) => target.address + (target.backup ? ' (backup)' : '') },
  { title: 'Pool', draw: (cell, { pool }) => pool.name },
  { title: 'State', draw: (cell, { target, pool }) => state(cell, ...condition(target, pool)) },
  { title: 'Last check', draw: (cell, { target: { check, follows } }) => checked(check, follows) },
  { title: 'Weight', kind: 'number', draw: (cell, { target: { weight } }) =>
    weight.in_force === weight.configured ? number(weight.in_force) : `${weight.in_force} (${weight.configured})` },
  { title: 'In flight', kind: 'number', draw: (cell, { target }) => number(target.in_flight) },
  { title: 'Requests/s', kind: 'number', draw: (cell, { flow }) => number(flow.requests) },
  { title: 'Failing', kind: 'number', draw: (cell, { flow }) => {
    set(cell, 'data-state', flow.share > 0.05 ? 'bad' : flow.share > 0 ? 'warn' : null);
    return flow.requests ? percent(flow.share) : '–';
  } },
  { title: 'Change', kind: 'buttons', draw: buttons },
];

function checked(check, follows) {
  if (!check) return follows ? `as ${follows}` : '–';
  return `${check.result}${check.code ? ` ${check.code}` : ''}, ${check.took_ms} ms`;
}

/** The buttons stay as they are until others are wanted. */
function buttons(cell, item) {
  cell.item = item;
  const { target } = item;
  const wanted = [
    target.ejected && ['Return', back],
    target.state === 'ready' ? ['Drain', (item) => put(item, 'drain')] : ['Ready', (item) => put(item, 'ready')],
    target.state !== 'maintenance' && ['Maintenance', (item) => put(item, 'maintenance')],
    ['Weight', weigh],
  ].filter(Boolean);
  const names = wanted.map(([name]) => name).join();
  if (cell.names === names) return;
  cell.names = names;
  const made = wanted.map(([name, act]) => h('button', {
    type: 'button',
    'aria-label': `${name}: ${target.address} of ${item.pool.name}`,
    onclick: async () => (await mayChange()) && act(cell.item),
  }, name));
  // Who has pressed the one that is gone goes on from the one in its place.
  const focused = cell.contains(document.activeElement);
  cell.replaceChildren(...made);
  if (focused) made[0].focus();
}

const MEANING = {
  ready: 'It takes new work again, if its checks pass.',
  drain: 'It gets no new work and finishes what it has.',
  maintenance: 'It gets no work at all, finishes what it has, and its idle connections are closed.',
};

/** What is said before work is taken from a target. */
function warning({ pool, target }) {
  const others = pool.targets.filter((other) => other !== target && takesWork(other)).length;
  if (!others && takesWork(target)) return `No other target of ${pool.name} takes work: requests to it will fail.`;
  return `${count(others, 'other target')} of ${pool.name} ${others === 1 ? 'takes' : 'take'} work.`;
}

const until = () => h('select', {}, h('option', { value: 'forever' }, 'it is taken back'), h('option', { value: 'restart' }, 'the next start'));

async function put(item, wanted) {
  const { pool, target } = item;
  const title = { ready: 'Make ready', drain: 'Drain', maintenance: 'Put into maintenance' }[wanted];
  await confirm({
    title: `${title}: ${target.address}?`,
    lines: [MEANING[wanted], wanted === 'ready' ? null : warning(item)].filter(Boolean),
    fields: [{ name: 'until', label: 'This holds until', element: until() }],
    action: title,
    danger: wanted !== 'ready',
    act: (values) => patch(pool, target, { state: wanted, ...values }),
  });
}

async function weigh({ pool, target }) {
  const element = h('input', { type: 'number', min: 0, max: 256, required: true, value: target.weight.in_force });
  await confirm({
    title: `Weight of ${target.address}`,
    lines: [`Its part of the work of ${pool.name} beside the others'. By the configuration it is ${target.weight.configured}.`],
    fields: [{ name: 'weight', label: 'Weight, 0 to 256', element }, { name: 'until', label: 'This holds until', element: until() }],
    action: 'Change',
    act: ({ weight, until }) => patch(pool, target, { weight: Number(weight), until }),
  });
}

async function back({ pool, target }) {
  await confirm({
    title: `Have ${target.address} back?`,
    lines: [`Live traffic has ejected it (${target.ejected?.reason ?? 'by now it is back'}). It takes work again at once.`],
    action: 'Return',
    act: () => ask('DELETE', `/v1/pools/${piece(pool.name)}/targets/${piece(target.address)}/ejection`),
  });
  changed();
}

async function patch(pool, target, change) {
  const told = await ask('PATCH', `/v1/pools/${piece(pool.name)}/targets/${piece(target.address)}`, change);
  const done = told.changes.map(({ key, from, to }) => `${key}: ${from ?? 'as configured'} → ${to ?? 'as configured'}`);
  note(done.join(', ') || `${target.address} was so before`);
  changed();
}

/** Targets that are shown at a time, and from how many on they can be looked for. */
const [MOST, MANY] = [60, 12];

/** Shows the targets of all pools, the worst first. Calls `after` when one was changed. */
export function start(after) {
  changed = after;
  const [element, show] = table('Targets', COLUMNS, ({ pool, target }) => `${pool.name}\n${target.address}`);
  const search = h('input', { type: 'search', placeholder: 'Look for a target or pool', 'aria-label': 'Look for a target or pool' });
  const rest = h('p', { class: 'quiet nothing', hidden: true });
  at('targets').querySelector('.title').append(search);
  element.append(rest);
  at('targets').append(element);
  let known = [];
  const fill = () => {
    const word = search.value.trim();
    const wanted = known.filter(({ pool, target }) => pool.name.includes(word) || target.address.includes(word));
    show(wanted.slice(0, MOST), known.length ? 'None of that name.' : 'No pool has a target.');
    set(rest, 'hidden', wanted.length <= MOST);
    text(rest, `and ${number(wanted.length - MOST)} more`);
    set(search, 'hidden', known.length < MANY);
  };
  search.addEventListener('input', fill);
  return (pools) => {
    const items = pools.flatMap((pool) => pool.targets.map((target) => ({ pool, target, flow: flow(pool, target) })));
    const rank = ({ pool, target }) => RANK[condition(target, pool)[0]];
    known = items.sort((a, b) => rank(a) - rank(b));
    fill();
  };
}
