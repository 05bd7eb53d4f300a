// What would become of a request.

import { ask } from './api.js';
import { at, h } from './dom.js';
import { mayChange } from './session.js';

/** Puts the box into the page. */
export function start() {
  const url = h('input', { required: true, placeholder: 'http://www.example.com/page', spellcheck: 'false', autocomplete: 'off' });
  const method = h('input', { placeholder: 'GET', spellcheck: 'false', autocomplete: 'off' });
  const client = h('input', { placeholder: '127.0.0.1', spellcheck: 'false', autocomplete: 'off' });
  const headers = h('textarea', { rows: 2, placeholder: 'X-Api-Key: …', spellcheck: 'false' });
  const told = h('pre', { class: 'told', role: 'status', hidden: true, tabindex: 0, 'aria-label': 'What would become of it' });
  const labelled = (title, element, kind) => h('label', { class: kind }, title, element);
  const form = h('form', { class: 'form' },
    labelled('URL', url, 'wide'), labelled('Method', method), labelled('Client', client), labelled('Header lines, one each line', headers, 'wide'),
    h('div', {}, h('button', { class: 'go' }, 'Explain')));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!(await mayChange())) return;
    const lines = headers.value.split('\n').map((line) => line.trim()).filter(Boolean);
    try {
      const asked = { url: url.value.trim(), headers: lines, ...(method.value && { method: method.value.trim() }), ...(client.value && { client: client.value.trim() }) };
      told.textContent = (await ask('POST', '/v1/explain', asked)).text;
    } catch (refused) {
      told.textContent = refused.message;
    }
    told.hidden = false;
  });
  at('explain').append(h('div', { class: 'card' }, form, told));
}
