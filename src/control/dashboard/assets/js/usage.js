// Who asks for what, as it is summed up on the disk.

import { get } from './api.js';
import { at, h, text } from './dom.js';
import { bytes, millis, number, percent } from './format.js';
import { state, table } from './table.js';

const SPANS = { '1h': '1 hour', '24h': '24 hours', '7d': '7 days', '30d': '30 days' };
const BY = {
  consumer: 'Consumer',
  'consumer,version': 'Consumer and version',
  route: 'Route',
  version: 'Version',
  status: 'Status',
  'consumer,route,version,status': 'All of these',
};
/** Rows that are shown. */
const MOST = 50;
const NOBODY = { consumer: 'nobody known', version: 'none', status: 'none' };

const named = ({ consumer, route, version, status }) =>
  Object.entries({ consumer, route, version, status }).filter(([, value]) => value != null).map(([key, value]) => value || NOBODY[key] || '–');

function errors(cell, { requests, errors }) {
  const share = requests ? errors / requests : null;
  state(cell, share >= 0.05 ? 'bad' : share >= 0.01 ? 'warn' : 'well', errors ? `${number(errors)} (${percent(share)})` : 'none');
}

const COLUMNS = [
  { title: 'Who and what', kind: 'name', draw: (cell, row) => named(row).join(' · ') },
  { title: 'Requests', kind: 'number', draw: (cell, { requests }) => number(requests) },
  { title: 'Errors', draw: errors },
  { title: 'Median', kind: 'number', draw: (cell, row) => millis(row.p50_ms) },
  { title: '99th percentile', kind: 'number', draw: (cell, row) => millis(row.p99_ms) },
  { title: 'Received', kind: 'number', draw: (cell, row) => bytes(row.bytes_in) },
  { title: 'Sent', kind: 'number', draw: (cell, row) => bytes(row.bytes_out) },
];

const choice = (label, options) =>
  h('label', {}, label, h('select', {}, Object.entries(options).map(([value, title]) => h('option', { value }, title))));

/** Shows it, if `isSummedUp()`; null: that is not known yet. `ask(work)` has it asked for again and again; it gives what asks for it at once. */
export function start(ask, isSummedUp) {
  const [element, show] = table('Usage', COLUMNS, (row) => JSON.stringify(named(row)));
  const [over, by] = [choice('Over', SPANS), choice('By', BY)];
  const rest = h('p', { class: 'quiet nothing', hidden: true });
  element.prepend(h('div', { class: 'form' }, over, by));
  element.append(rest);
  at('usage').append(element);
  const chosen = () => [over, by].map((label) => label.lastChild.value);
  const look = ask(async () => {
    const [span, parts] = chosen();
    if (isSummedUp() == null) return;
    if (!isSummedUp()) {
      show([], 'Nothing is summed up: [analytics] in the configuration has it so.');
      return;
    }
    const rows = (await get(`/v1/analytics?from=${span}&by=${parts}`)).items;
    // What was chosen since is asked for already.
    if (chosen().join() !== [span, parts].join()) return;
    show(rows.sort((a, b) => b.requests - a.requests).slice(0, MOST), 'Nobody has asked for anything in that time.');
    rest.hidden = rows.length <= MOST;
    text(rest, `and ${number(rows.length - MOST)} more: ringway analytics --from ${span} --by ${parts}`);
  });
  [over, by].forEach((label) => label.addEventListener('change', look));
  return look;
}
