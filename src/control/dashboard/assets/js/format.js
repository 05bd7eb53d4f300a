// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** A count, or a rate: few digits where it is small. */
export function number(value) {
  if (value == null || Number.isNaN(value)) return '–';
  if (value >= 1e7) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 1e5) return `${(value / 1e3).toFixed(0)} k`;
  if (value >= 10 || Number.isInteger(value)) return whole.format(value);
  return value < 0.05 && value > 0 ? '< 0.1' : value.toFixed(1);
}

/** A share of 0 to 1. */
export function percent(share) {
  if (share == null || Number.isNaN(share)) return '–';
  const value = share * 100;
  if (value === 0) return '0 %';
  if (value < 0.1) return '< 0.1 %';
  return `${value.toFixed(value >= 10 ? 0 : 1)} %`;
}

/** Milliseconds. */
export function millis(value) {
  if (value == null) return '–';
  if (value >= 100_000) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(value >= 10_000 ? 1 : 2)} s`;
  if (value >= 10) return `${value.toFixed(0)} ms`;
  return value >= 1 ? `${value.toFixed(1)} ms` : `${(value * 1000).toFixed(0)} µs`;
}

/** Bytes. */
export function bytes(value) {
  if (value == null) return '–';
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]]) {
    if (value >= size) return `${(value / size).toFixed(value >= 10 * size ? 0 : 1)} ${unit}`;
  }
  return `${whole.format(value)} B`;
}

/** A span of seconds. */
export function span(seconds) {
  if (seconds < 0) return `– ${span(-seconds)}`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** The time of day, of seconds since 1970; with the date if it is another day's. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}

/** So many of something: `count(1, 'target')`. */
export const count = (many, what) => `${number(many)} ${what}${many === 1 ? '' : 's'}`;
