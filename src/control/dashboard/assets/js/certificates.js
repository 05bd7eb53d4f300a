// Certificates, and how long they hold.

import { list } from './api.js';
import { at } from './dom.js';
import { moment, span } from './format.js';
import { state, table } from './table.js';

const DAY = 86_400;

function left(cell, { left: seconds }) {
  const kind = seconds < 3 * DAY ? 'bad' : seconds < 14 * DAY ? 'warn' : 'well';
  state(cell, kind, seconds < 0 ? `ended ${span(-seconds)} ago` : span(seconds));
}

const COLUMNS = [
  { title: 'Certificate', kind: 'name', draw: (cell, { file }) => file },
  { title: 'Shown by', draw: (cell, { listener, pool }) => (listener ? `listener ${listener}` : `pool ${pool}, to its targets`) },
  { title: 'Holds for', draw: left },
  { title: 'Ends', draw: (cell, { not_after: end }) => moment(end) },
];

/** Shows them, and gives what asks for them anew. */
export function start() {
  const [element, show] = table('Certificates', COLUMNS, ({ listener, pool, file }) => `${listener} ${pool} ${file}`);
  at('certificates').append(element);
  return async () => show((await list('/v1/certificates')).sort((a, b) => a.left - b.left), 'There are no certificates.');
}
