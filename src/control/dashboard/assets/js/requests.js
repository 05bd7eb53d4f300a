// Requests that failed, were refused or took long, with the time in each phase.

import { list } from './api.js';
import { at, h, set, text } from './dom.js';
import { millis, moment } from './format.js';
import { state, table } from './table.js';

const PHASES = [
  ['head', 'head', 'request head'],
  ['queue', 'queue', 'waiting for a target'],
  ['connect', 'connect', 'connecting'],
  ['first_byte', 'wait', 'waiting for the answer'],
  ['rest', 'rest', 'the rest'],
];
const KINDS = { failed: ['bad', 'failed'], refused: ['idle', 'refused'], slow: ['warn', 'slow'] };

/** How many are shown at first, and when more are wanted. */
const [FEW, MANY] = [10, 150];

/** How long each phase took; the rest is what no phase has. */
function phases(took) {
  const known = PHASES.slice(0, -1).map(([key, kind, name]) => ({ kind, name, took: took[key] ?? 0 }));
  const rest = Math.max(0, took.total - known.reduce((sum, phase) => sum + phase.took, 0));
  return [...known, { kind: 'rest', name: 'the rest', took: rest }].filter((phase) => phase.took > 0);
}

/** As long as it took beside the longest that is shown. */
function bar(cell, { took, longest }) {
  const all = phases(took);
  const words = all.map(({ name, took }) => `${name} ${millis(took)}`).join(', ');
  const length = `${Math.max(10, (100 * took.total) / longest).toFixed(0)}%`;
  if (cell.words === words) {
    cell.firstChild.style.width = length;
    return;
  }
  cell.words = words;
  const parts = all.map(({ kind, took: part }) => {
    const piece = h('span', { class: kind });
    piece.style.flexGrow = String(Math.max(part / took.total, 0.012));
    return piece;
  });
  const whole = h('div', { class: 'phases', role: 'img', 'aria-label': words, title: words }, parts);
  whole.style.width = length;
  cell.replaceChildren(whole);
}

function two(cell, first, second) {
  if (!cell.firstChild) cell.append(h('div', {}, h('span', { class: 'wrap' }), h('span', { class: 'more wrap' })));
  text(cell.firstChild.firstChild, first);
  text(cell.firstChild.lastChild, second);
}

const COLUMNS = [
  { title: 'When', draw: (cell, { at_ms: at }) => moment(at / 1000) },
  { title: 'What', kind: 'wide', draw: (cell, { request, listener, client }) =>
    two(cell, request ? `${request.method} ${request.host}${request.path}` : `connection to ${listener}`, `from ${client ?? 'a socket'}${request?.consumer ? `, ${request.consumer}` : ''}`) },
  { title: 'Came of it', draw: (cell, { kind, reason, request }) => state(cell, KINDS[kind][0], [request?.status || null, reason ?? (kind === 'slow' ? 'slow' : null), request?.rule && `(${request.rule})`].filter(Boolean).join(' ') || kind) },
  { title: 'Way', draw: (cell, { route, listener, pool, target, tries }) =>
    two(cell, [route ?? listener, pool].filter(Boolean).join(' → '), target ? `${target}${tries > 1 ? `, ${tries} tries` : ''}` : '') },
  { title: 'Time in each phase', kind: 'time', draw: bar },
  { title: 'Took', kind: 'number', draw: (cell, { took }) => millis(took.total) },
];

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [element, show] = table('Slow and failing requests', COLUMNS, ({ at_ms: at, request, client, listener }) => `${at} ${request?.id ?? client} ${listener}`);
  const choice = h('select', { 'aria-label': 'Which requests' },
    h('option', { value: 'trouble' }, 'Failed and slow'), h('option', { value: 'failed' }, 'Failed'), h('option', { value: 'slow' }, 'Slow'),
    h('option', { value: 'refused' }, 'Refused, or the client left'));
  at('requests').querySelector('.title').append(choice);
  const key = h('div', { class: 'key', 'aria-hidden': 'true' }, PHASES.map(([, kind, name]) => {
    const mark = h('i', { class: kind });
    return h('span', { class: 'phase-key' }, mark, name);
  }));
  let most = FEW;
  const more = h('button', { type: 'button', class: 'more-button', onclick: () => {
    most = MANY;
    look().catch(() => null);
  } }, 'Show more');
  element.append(key, more);
  at('requests').append(element);
  const look = async () => {
    const all = await list(['trouble'].includes(choice.value) ? '/v1/exchanges' : `/v1/exchanges?kind=${choice.value}`);
    const wanted = choice.value === 'trouble' ? all.filter(({ kind }) => kind !== 'refused') : all;
    const shown = wanted.slice(0, most);
    const longest = Math.max(...shown.map(({ took }) => took.total));
    show(shown.map((one) => ({ ...one, longest })), 'None of late.');
    set(key, 'hidden', wanted.length === 0);
    set(more, 'hidden', wanted.length <= most);
  };
  choice.addEventListener('change', () => look().catch(() => null));
  return look;
}
