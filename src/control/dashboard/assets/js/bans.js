// Who is refused, and refusing somebody.

import { ask, list, piece } from './api.js';
import { confirm, note } from './dialog.js';
import { at, h } from './dom.js';
import { span } from './format.js';
import { mayChange } from './session.js';
import { table } from './table.js';

let look;

const COLUMNS = [
  { title: 'Client', kind: 'name', draw: (cell, { client }) => client },
  { title: 'Why', draw: (cell, { reason }) => reason || '–' },
  { title: 'By', draw: (cell, { rule }) => (rule ? `rule ${rule}` : 'an operator') },
  { title: 'Ends in', kind: 'number', draw: (cell, { left }) => (left == null ? 'never' : span(left)) },
  { title: 'Change', kind: 'buttons', draw: (cell, { client }) => {
    if (!cell.firstChild) cell.append(h('button', { type: 'button', 'aria-label': `Take back the ban of ${client}`, onclick: async () => (await mayChange()) && unban(client) }, 'Take back'));
  } },
];

async function unban(client) {
  await confirm({
    title: `Take back the ban of ${client}?`,
    lines: ['It is let in again at once.'],
    action: 'Take back',
    act: async () => {
      await ask('DELETE', `/v1/bans/${piece(client)}`);
      note(`${client} is let in again`);
    },
  });
  await look();
}

async function ban() {
  const client = h('input', { required: true, placeholder: '192.0.2.7 or 192.0.2.0/24', spellcheck: 'false' });
  const length = h('select', {}, ['10m', '1h', '1d', ''].map((value) => h('option', { value }, value || 'until it is taken back')));
  const [reason, close] = [h('input', { maxlength: 200 }), h('input', { type: 'checkbox', checked: true })];
  await confirm({
    title: 'Ban a client?',
    lines: ['Its connections are closed as they come, before anything else.'],
    fields: [{ name: 'client', label: 'Address or range', element: client }, { name: 'length', label: 'For', element: length },
      { name: 'reason', label: 'Why, for those who come after', element: reason }, { name: 'close', label: 'End its open connections, too', element: close }],
    action: 'Ban',
    danger: true,
    act: async ({ client, length, reason, close }) => {
      await ask('PUT', `/v1/bans/${piece(client.trim())}`, { ...(length && { for: length }), reason, close });
      note(`${client.trim()} is banned`);
    },
  });
  await look();
}

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [element, show] = table('Bans', COLUMNS, ({ client }) => client);
  at('bans').querySelector('.title').append(h('button', { type: 'button', onclick: async () => (await mayChange()) && ban() }, 'Ban a client'));
  at('bans').append(element);
  look = async () => show(await list('/v1/bans'), 'Nobody is banned.');
  return look;
}
