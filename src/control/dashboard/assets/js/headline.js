// Whether all is well, for somebody who has two seconds.

import { at, h, keyed, set, text } from './dom.js';

const PLACE = { traffic: 'requests', pool: 'topology', target: 'targets', certificate: 'certificates', reload: 'changes', process: 'traffic' };
const WORD = { bad: 'Clients feel it: ', warn: 'To be looked at: ' };
const ICON = { well: '✓', warn: '!', bad: '✕' };

function make() {
  const [link, more, word] = [h('a'), h('small'), h('span', { class: 'sr' })];
  const element = h('li', {}, h('span', { class: 'mark', 'aria-hidden': 'true' }), h('span', {}, word, link, more));
  const update = (finding) => {
    set(element, 'data-state', finding.severity);
    set(link, 'href', `#${PLACE[finding.of] ?? 'traffic'}`);
    // What is the only one stands in the headline already.
    text(link, finding.alone ? `See ${link.hash.slice(1)}` : finding.text);
    text(word, WORD[finding.severity] ?? '');
    text(more, finding.more ?? '');
  };
  return [element, update];
}

function say(state, word, more, items) {
  set(at('headline'), 'data-state', state);
  text(at('state-word'), word);
  text(at('state-more'), more);
  keyed(at('findings'), items, (finding) => finding.text, make);
  document.title = `${ICON[state] ?? ''} ${word} – Ringway`.trim();
}

/** Findings that are shown: more would push all else out of sight. */
const MOST = 6;

/** Shows what is told, and in one line how things go. */
export function show(headline, line) {
  const several = headline.items.length > 1 ? `, and ${headline.items.length - 1} more` : '';
  const alone = headline.items.length === 1;
  const items = headline.items.slice(0, MOST).map((finding) => ({ ...finding, alone }));
  const left = headline.items.length - items.length;
  if (left) items.push({ severity: headline.items[MOST].severity, of: headline.items[MOST].of, text: `and ${left} more` });
  say(headline.state, headline.text + several, line, items);
}

/** Says that nothing can be told, and why. */
export function away({ status, message }) {
  if (status === 401) say('warn', 'Not signed in', 'What runs here is told to those who know the token.', []);
  else say('bad', message, 'What is shown below is as it was.', []);
}
