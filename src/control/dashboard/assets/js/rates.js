// What grows a second, of counters that are asked now and then.

/** Over so many milliseconds at least, so that figures can be read. */
const OVER = 4000;
/** What nobody has asked for so long is forgotten: targets come and go, and pages are open for weeks. */
const FORGOTTEN = 60_000;
const known = new Map();
let swept = 0;

function sweep(now) {
  if (now - swept < FORGOTTEN / 2) return;
  swept = now;
  for (const [key, seen] of known) {
    if (now - seen.at(-1).now > FORGOTTEN) known.delete(key);
  }
}

/** How much `value`, known by `key`, grows a second; `null` while only one value is known. */
export function rate(key, value) {
  const now = performance.now();
  sweep(now);
  const seen = known.get(key) ?? [];
  // It was begun anew, with the process or with what it counts.
  if (seen.length && value < seen.at(-1).value) seen.length = 0;
  if (!seen.length || now - seen.at(-1).now > 300) seen.push({ now, value });
  while (seen.length > 2 && now - seen[1].now >= OVER) seen.shift();
  known.set(key, seen);
  const [first, last] = [seen[0], seen.at(-1)];
  return last.now > first.now ? ((last.value - first.value) * 1000) / (last.now - first.now) : null;
}
