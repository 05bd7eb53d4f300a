// What is asked of Ringway and told to it: the API that `/openapi.json` describes.

const KEY = 'ringway-session';

/** What came of a question that was refused: `status` is 0 where nobody answered. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The half of the session that the page keeps: for this tab alone, and worth nothing without the cookie. */
export const session = {
  get key() {
    return sessionStorage.getItem(KEY);
  },
  set key(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  },
};

/** Asks, and gives what is answered. Fails with [`Refused`]. */
export async function ask(method, path, body, fields = {}) {
  const headers = { ...fields };
  const { key } = session;
  if (key && !headers.Authorization) headers['Ringway-Session'] = key;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, { method, headers, body: sent, cache: 'no-store', signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Refused(0, 'Ringway does not answer');
  }
  const told = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return told;
  // Who has signed in since is not meant.
  if (response.status === 401 && key === session.key) document.dispatchEvent(new Event('unknown'));
  throw new Refused(response.status, told?.detail ?? told?.diagnostics ?? `Ringway says ${response.status}`);
}

/** What can be read there. */
export const get = (path) => ask('GET', path);

/** Parts of a list that are asked for, each of a thousand. */
const PARTS = 20;

/** A list. */
export async function list(path) {
  const items = [];
  let after = '';
  for (let part = 0; part < PARTS; part += 1) {
    const told = await get(path + after);
    items.push(...told.items);
    if (told.next == null) break;
    after = `${path.includes('?') ? '&' : '?'}after=${piece(told.next)}`;
  }
  return items;
}

/** A piece of a path. */
export const piece = encodeURIComponent;
