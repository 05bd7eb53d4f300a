// Who looks: whether they may change something, and signing in for it.

import { ask, get, session } from './api.js';
import { confirm, note } from './dialog.js';
import { at, h, text } from './dom.js';
import * as poll from './poll.js';

let state = { changes: false, token: false };
let asking = false;

/** Whether buttons do something. Who may not is asked to sign in first, if there is a way. */
export async function mayChange() {
  if (state.changes) return true;
  if (state.token) return signIn();
  note('This can be read only: set admin.token_file to change something here.');
  return false;
}

/** Looks who is there. */
export async function look() {
  try {
    state = await get('/v1/session');
  } catch (refused) {
    if (refused.status !== 401) throw refused;
    state = { changes: false, token: true };
  }
  show();
}

/** Asks for the token. Gives whether it was right. */
async function signIn() {
  if (asking) return false;
  asking = true;
  const element = h('input', { type: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false' });
  const done = await confirm({
    title: 'Sign in',
    lines: ['With the token of admin.token_file. It is not kept; the session ends after twelve hours, with this tab, or with the token.'],
    fields: [{ name: 'token', label: 'Token', element }],
    action: 'Sign in',
    act: async ({ token }) => {
      const made = await ask('POST', '/v1/session', undefined, { Authorization: `Bearer ${token.trim()}` });
      session.key = made.key;
    },
  });
  asking = false;
  if (done) {
    await look();
    poll.all();
  }
  return done;
}

async function signOut() {
  await ask('DELETE', '/v1/session').catch(() => null);
  session.key = null;
  await look();
}

function show() {
  const button = at('sign');
  button.hidden = !state.token;
  text(button, state.changes ? 'Sign out' : 'Sign in');
  document.documentElement.dataset.may = state.changes ? 'change' : state.token ? 'sign-in' : 'read';
}

/** Heeds the button, and asks for the token where nothing is told without it. */
export function start() {
  at('sign').addEventListener('click', () => (state.changes ? signOut() : signIn()));
  let heard = false;
  document.addEventListener('unknown', async () => {
    if (asking || heard) return;
    heard = true;
    // A session that has ended is none any more; what may be read without one is.
    session.key = null;
    await look().catch(() => null);
    const known = await get('/v1/status').catch((refused) => refused.status !== 401);
    heard = false;
    if (known) return;
    poll.hold();
    signIn();
  });
  return look();
}
