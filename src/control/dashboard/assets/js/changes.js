// What has been changed, by whom, key by key.

import { list } from './api.js';
import { at, h } from './dom.js';
import { count, moment } from './format.js';
import { state, table } from './table.js';

const KINDS = { applied: 'well', trying: 'warn', 'rolled-back': 'bad', unchanged: 'idle', failed: 'bad' };
const value = (of) => (of == null ? 'nothing' : of);

function changes(cell, { changes, deferred, diagnostics }) {
  // What has happened does not change.
  if (cell.firstChild) return;
  const lines = [
    ...changes.map(({ key, from, to }) => `${from == null ? '+' : to == null ? '−' : '~'} ${key}: ${value(from)} → ${value(to)}`),
    ...deferred.map((key) => `! ${key} takes effect with the next upgrade or start`),
    ...diagnostics.split('\n').filter(Boolean),
  ];
  const shown = h('ul', { class: 'diff' }, lines.map((line) => h('li', {}, line)));
  if (lines.length <= 3) cell.append(lines.length ? shown : 'nothing');
  else cell.append(h('details', {}, h('summary', {}, changes.length ? count(changes.length, 'change') : lines[0]), shown));
}

const COLUMNS = [
  { title: 'When', draw: (cell, { at }) => moment(at) },
  { title: 'Result', draw: (cell, { result }) => state(cell, KINDS[result] ?? 'idle', result) },
  { title: 'Plan', kind: 'number', draw: (cell, { plan }) => plan },
  { title: 'By', draw: (cell, { by }) => by },
  { title: 'What', kind: 'wide', draw: changes },
];

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [element, show] = table('Changes of the configuration', COLUMNS, ({ at, by, plan, result, changes }) => `${at} ${by} ${plan} ${result} ${changes.length}`);
  at('changes').append(element);
  return async () => show(await list('/v1/reloads'), 'None since the start.');
}
