// Caches: what they spare, what they hold, and purging.

import { ask, list, piece } from './api.js';
import { confirm, note } from './dialog.js';
import { at, h, set, text } from './dom.js';
import { bytes, number, percent } from './format.js';
import { mayChange } from './session.js';
import { table } from './table.js';

const HITS = ['hit', 'stale', 'revalidated', 'collapsed'];

function spared(cell, { requests }) {
  const hits = HITS.reduce((sum, what) => sum + requests[what], 0);
  const share = hits + requests.miss ? hits / (hits + requests.miss) : null;
  if (!cell.firstChild) cell.append(h('span', {}, h('span', { class: 'bar', 'aria-hidden': 'true' }, h('span')), h('span')));
  const [bar, word] = cell.firstChild.children;
  bar.firstChild.style.width = `${(share ?? 0) * 100}%`;
  text(word, percent(share));
}

const COLUMNS = [
  { title: 'Cache', kind: 'name', draw: (cell, { name }) => name },
  { title: 'Routes', draw: (cell, { routes }) => routes.join(', ') || 'none' },
  { title: 'Answered from it', draw: spared },
  { title: 'Misses', kind: 'number', draw: (cell, { requests }) => number(requests.miss) },
  { title: 'Holds', draw: (cell, { tiers }) => tiers.map((tier) => `${tier.tier}: ${bytes(tier.bytes)} of ${bytes(tier.max)}, ${number(tier.objects)} answers`).join('; ') },
  { title: 'Sent from it', kind: 'number', draw: (cell, { sent }) => bytes(sent) },
  { title: 'Change', kind: 'buttons', draw: (cell, { name }) => {
    if (!cell.firstChild) cell.append(h('button', { type: 'button', 'aria-label': `Purge: ${name}`, onclick: async () => (await mayChange()) && purge(name) }, 'Purge'));
  } },
];

const WHAT = {
  url: ['One URL', 'https://www.example.com/page'],
  prefix: ['All that begins with', 'https://www.example.com/img/'],
  tag: ['All with the tag', 'article-7'],
  host: ['All of the host', 'www.example.com'],
  all: ['Everything', ''],
};

async function purge(name) {
  const what = h('select', {}, Object.entries(WHAT).map(([value, [title]]) => h('option', { value }, title)));
  const which = h('input', { required: true, placeholder: WHAT.url[1], spellcheck: 'false' });
  const soft = h('input', { type: 'checkbox' });
  what.addEventListener('change', () => {
    set(which, 'placeholder', WHAT[what.value][1]);
    which.disabled = what.value === 'all';
    which.closest('label').hidden = what.value === 'all';
  });
  await confirm({
    title: `Purge cache ${name}?`,
    lines: ['What is purged is gone at once, and asked of the targets again.'],
    fields: [{ name: 'what', label: 'What', element: what }, { name: 'which', label: 'Which', element: which }, { name: 'soft', label: 'It may be given on once more while it is fetched anew (soft)', element: soft }],
    action: 'Purge',
    danger: true,
    act: async ({ what, which, soft }) => {
      const told = await ask('POST', `/v1/caches/${piece(name)}/purge`, { [what]: what === 'all' ? true : which.trim(), soft });
      const { answers } = told.caches[0] ?? {};
      note(answers == null ? `${name}: what it has of that is purged` : `${name}: ${number(answers)} purged`);
    },
  });
}

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [element, show] = table('Caches', COLUMNS, ({ name }) => name);
  at('caches').append(element);
  return async () => show(await list('/v1/caches'), 'There are no caches.');
}
