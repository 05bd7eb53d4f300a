// Light or dark: as the system has it, or as is chosen here.

import { at } from './dom.js';

const KEY = 'ringway-colours';
const probe = document.createElement('span');

/** A colour of the page, as a canvas takes it. */
export function colour(name) {
  probe.hidden = true;
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** Heeds the switch, and calls `changed` when colours are others. */
export function start(changed) {
  const choice = at('theme');
  const use = (value) => {
    document.documentElement.dataset.theme = value;
    changed();
  };
  choice.value = localStorage.getItem(KEY) ?? 'auto';
  choice.addEventListener('change', () => {
    localStorage.setItem(KEY, choice.value);
    use(choice.value);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
  use(choice.value);
}
