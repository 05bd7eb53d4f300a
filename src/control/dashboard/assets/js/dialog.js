// Questions before something is done, and what came of it.

import { at, h } from './dom.js';

/**
 * Asks before something is done. `fields` are `{name, label, element}`; `act(values)` does it, and what refuses it is told in the dialog. Gives
 * whether it was done.
 */
export function confirm({ title, lines = [], fields = [], action, danger = false, cancel = 'Cancel', act }) {
  const error = h('p', { class: 'error', role: 'alert' });
  const go = h('button', { type: 'submit', class: danger ? 'go danger' : 'go' }, action);
  const back = h('button', { type: 'button', onclick: () => dialog.close() }, cancel);
  const labelled = fields.map(({ label, element }) => h('label', {}, h('span', {}, label), element));
  const form = h('form', {}, lines.map((line) => h('p', {}, line)), labelled, error, h('div', { class: 'actions' }, back, go));
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, h('h2', { id: 'dialog-title' }, title), form);
  document.body.append(dialog);
  let done = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(fields.map(({ name, element }) => [name, element.type === 'checkbox' ? element.checked : element.value]));
    go.disabled = true;
    error.textContent = '';
    try {
      await act(values);
      done = true;
      dialog.close();
    } catch (refused) {
      error.textContent = refused.message;
      go.disabled = false;
    }
  });
  dialog.showModal();
  if (!fields.length) (danger ? back : go).focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(done);
    });
  });
}

/** Says what was done, for a while. */
export function note(line) {
  const element = h('p', {}, line);
  at('notes').append(element);
  setTimeout(() => element.remove(), 8000);
}
