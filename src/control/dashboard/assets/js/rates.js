// What grows a second, of counters that are asked now and then.

/** Over so many milliseconds at least, so that figures can be read. */
const OVER = 4000;
const known = new Map();

/** How much `value`, known by `key`, grows a second; `null` while only one value is known. */
export function rate(key, value) {
  const now = performance.now();
  const seen = known.get(key) ?? [];
  // It was begun anew, with the process or with what it counts.
  if (seen.length && value < seen.at(-1).value) seen.length = 0;
  if (!seen.length || now - seen.at(-1).now > 300) seen.push({ now, value });
  while (seen.length > 2 && now - seen[1].now >= OVER) seen.shift();
  known.set(key, seen);
  const [first, last] = [seen[0], seen.at(-1)];
  return last.now > first.now ? ((last.value - first.value) * 1000) / (last.now - first.now) : null;
}
