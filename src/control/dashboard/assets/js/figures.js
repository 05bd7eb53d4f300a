// The figures at the top.

import { at, h, keyed, set, text } from './dom.js';
import { number } from './format.js';
import { condition, takesWork } from './targets.js';

function make() {
  const [name, value, more] = [h('dt'), h('dd', { class: 'value' }), h('dd', { class: 'quiet' })];
  const element = h('div', { class: 'figure' }, name, value, more);
  const update = (figure) => {
    set(element, 'data-state', figure.state);
    text(name, figure.name);
    text(value, figure.value);
    text(more, figure.more ?? '');
  };
  return [element, update];
}

/** Shows figures: `{name, value, more, state}`. */
export function show(figures) {
  keyed(at('figures'), figures, ({ name }) => name, make);
}

/** How much of what there is takes work. */
export function targets(pools) {
  const all = pools.flatMap((pool) => pool.targets);
  const up = all.filter(takesWork).length;
  // What an operator has wanted is no trouble.
  const trouble = pools.some((pool) => pool.targets.some((target) => ['bad', 'warn'].includes(condition(target, pool)[0])));
  return { name: 'Targets', value: `${number(up)} of ${number(all.length)}`, more: 'take work', state: trouble ? 'warn' : null };
}
