// Rules with their verdicts, and who is known.

import { list } from './api.js';
import { at, h, set, text } from './dom.js';
import { number } from './format.js';
import { rate } from './rates.js';
import { table } from './table.js';

const MODES = { shadow: 'shadow: refuses nobody', off: 'off' };

function named(cell, { name, mode }) {
  if (!cell.firstChild) cell.append(h('span'), h('span', { class: 'tag' }));
  text(cell.firstChild, name);
  text(cell.lastChild, MODES[mode] ?? '');
  set(cell.lastChild, 'hidden', !MODES[mode]);
}

const speed = (rule, what) => `${number(rule[what])}${rate(`rule ${rule.name} ${what}`, rule[what]) ? ` (${number(rate(`rule ${rule.name} ${what}`, rule[what]))}/s)` : ''}`;

const RULES = [
  { title: 'Rule', kind: 'name', draw: named },
  { title: 'Type', draw: (cell, { kind }) => kind },
  { title: 'Used by', draw: (cell, { routes, listeners, parts_of: parts }) => [...listeners, ...routes, ...parts].join(', ') || 'nobody' },
  { title: 'Let go on', kind: 'number', draw: (cell, rule) => speed(rule, 'passed') },
  { title: 'Refused', kind: 'number', draw: (cell, rule) => speed(rule, 'denied') },
  { title: 'Would have refused', kind: 'number', draw: (cell, rule) => (rule.mode === 'shadow' ? speed(rule, 'shadow_denied') : '–') },
];

const CONSUMERS = [
  { title: 'Consumer', kind: 'name', draw: (cell, { name }) => name },
  { title: 'Groups', draw: (cell, { groups }) => groups.join(', ') || '–' },
  { title: 'Keys', draw: (cell, { keys }) => keys.join(', ') || '–' },
  { title: 'From', draw: (cell, { from }) => from },
];

/** Consumers that are shown at a time. */
const MOST = 50;

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [rules, showRules] = table('Rules', RULES, ({ name }) => name);
  const [consumers, showConsumers] = table('Consumers', CONSUMERS, ({ name }) => name);
  const search = h('input', { type: 'search', placeholder: 'Look for a consumer', 'aria-label': 'Look for a consumer' });
  const rest = h('p', { class: 'quiet nothing', hidden: true });
  consumers.prepend(h('div', { class: 'form' }, search));
  consumers.append(rest);
  at('rules').append(h('div', { class: 'stack' }, rules, consumers));
  let known = [];
  const filter = () => {
    const wanted = known.filter(({ name, groups }) => [name, ...groups].some((word) => word.includes(search.value.trim())));
    showConsumers(wanted.slice(0, MOST), known.length ? 'None of that name.' : 'Nobody is known by name.');
    set(rest, 'hidden', wanted.length <= MOST);
    text(rest, `and ${number(wanted.length - MOST)} more`);
    set(search.parentElement, 'hidden', known.length < 10);
  };
  search.addEventListener('input', filter);
  return async () => {
    const [all, consumers] = await Promise.all([list('/v1/rules'), list('/v1/consumers')]);
    // Those that refuse come first.
    showRules(all.sort((a, b) => b.denied + b.shadow_denied - a.denied - a.shadow_denied), 'There are no rules.');
    known = consumers;
    filter();
  };
}
