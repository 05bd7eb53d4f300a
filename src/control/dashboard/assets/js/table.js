// Tables that are filled again and again; on a narrow screen each row is a card.

import { h, keyed, set, text } from './dom.js';

/**
 * A table. `columns` are `{title, draw(cell, item), kind}`; `draw` may return a text instead of drawing. Gives `[element, show]`, where
 * `show(items, empty)` fills it, or says why there is nothing in it.
 */
export function table(label, columns, keyOf, { rowClass } = {}) {
  const head = columns.map(({ title, kind }) => h('th', { role: 'columnheader', scope: 'col', class: kind }, title));
  const body = h('tbody', { role: 'rowgroup' });
  const nothing = h('p', { class: 'quiet nothing' });
  const inner = h('table', { role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)), body);
  const element = h('div', { class: 'card' }, inner, nothing);
  const make = () => {
    const cells = columns.map(({ title, kind }) => h('td', { role: 'cell', class: kind, 'data-label': title }));
    const row = h('tr', { role: 'row' }, cells);
    const update = (item) => {
      columns.forEach(({ draw }, place) => {
        const drawn = draw(cells[place], item);
        if (drawn !== undefined) text(cells[place], drawn);
      });
      if (rowClass) set(row, 'class', rowClass(item));
    };
    return [row, update];
  };
  const show = (items, empty = 'Nothing.') => {
    keyed(body, items, keyOf, make);
    inner.hidden = items.length === 0;
    nothing.hidden = items.length > 0;
    text(nothing, empty);
  };
  show([]);
  return [element, show];
}

/** A state: a mark whose shape says it, too, and a word. Drawn into a cell. */
export function state(cell, kind, word) {
  if (!cell.firstChild) cell.append(h('span', { class: 'mark', 'aria-hidden': 'true' }), h('span'));
  set(cell, 'data-state', kind);
  text(cell.lastChild, word);
}
