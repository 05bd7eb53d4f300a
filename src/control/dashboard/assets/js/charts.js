// Charts of what has happened of late.

import { at, h, set } from './dom.js';
import { bytes, millis, number, percent } from './format.js';
import { heat } from './heat.js';
import { colour } from './theme.js';

const HEIGHT = 170;
/** Seconds that are shown at least. */
const SHORTEST = 60;
const POWERS = Array.from({ length: 48 }, (_, power) => 2 ** power);
const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'];

const each = (moment) => 1000 / (moment.span_ms || 1000);
const sum = (counts) => counts.reduce((all, count) => all + count, 0);

/** `values` of each series are made of a moment; `shown` is how they are read. */
const CHARTS = [
  {
    id: 'requests', title: 'Requests a second', shown: number, series: [
      { name: 'all', colour: 'accent', fill: true, value: (moment) => sum(moment.requests) * each(moment) },
      { name: '4xx', colour: 'warn', value: (moment) => moment.requests[CLASSES.indexOf('4xx')] * each(moment) },
      { name: '5xx', colour: 'bad', value: (moment) => moment.requests[CLASSES.indexOf('5xx')] * each(moment) },
    ],
  },
  {
    id: 'errors', title: 'Trouble a second', shown: number, series: [
      { name: '500 and above', colour: 'bad', fill: true, value: (moment) => moment.requests[4] * each(moment) },
      { name: 'failed tries', colour: 'warn', value: (moment) => moment.failed * each(moment) },
      { name: 'refused', colour: 'idle', value: (moment) => moment.refused * each(moment) },
    ],
  },
  {
    id: 'latency', title: 'How long requests take', shown: millis, log: true, series: [
      { name: '50 %', colour: 'well', value: (moment) => moment.latency?.p50 ?? null },
      { name: '90 %', colour: 'accent', value: (moment) => moment.latency?.p90 ?? null },
      { name: '99 %', colour: 'bad', value: (moment) => moment.latency?.p99 ?? null },
    ],
  },
  { id: 'heat', title: 'How many take how long', heat: true },
  {
    id: 'bytes', title: 'Bytes a second', shown: bytes, incrs: POWERS, series: [
      { name: 'to clients', colour: 'accent', fill: true, value: (moment) => moment.sent * each(moment) },
      { name: 'from clients', colour: 'idle', value: (moment) => moment.received * each(moment) },
    ],
  },
  {
    id: 'open', title: 'At a time', shown: number, series: [
      { name: 'client connections', colour: 'accent', value: (moment) => moment.connections },
      { name: 'in flight', colour: 'warn', value: (moment) => moment.in_flight },
    ],
  },
];

let made = [];
let last = { moments: [], bounds: [], wanted: 300 };

/** The axes and what they have in common. */
export function axes(shown, log, incrs) {
  const [line, text] = [colour('line'), colour('quiet')];
  const font = '12px system-ui, sans-serif';
  const common = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font };
  const time = (values) => values.map((value) => new Date(value * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).replace(/:00$/, ''));
  const size = (_, values) => 14 + 7 * Math.max(3, ...(values ?? []).map((value) => (value ?? '').length));
  const y = { ...common, size, values: (_, values) => values.map((value) => (value == null ? '' : shown(value))) };
  if (incrs) y.incrs = incrs;
  if (log) {
    // Powers of ten alone.
    y.filter = (_, splits) => splits.map((value) => (Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9 ? value : null));
    y.grid = { ...common.grid, filter: y.filter };
  }
  return [{ ...common, size: 26, space: 80, values: (_, values) => time(values) }, y];
}

function plot(chart, figure) {
  const series = chart.series.map(({ name, colour: of, fill }) => {
    const stroke = colour(of);
    return { label: name, stroke, width: 1.8, points: { show: false }, spanGaps: true, fill: fill ? stroke.replace(/rgb\((.*)\)/, 'rgba($1, .13)') : undefined };
  });
  const range = chart.log ? undefined : (_, low, high) => [0, Math.max(1, (high ?? 0) * 1.1)];
  const options = {
    width: figure.clientWidth, height: HEIGHT, padding: [10, 24, 0, 0], legend: { show: false }, cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'time' } },
    scales: { x: { time: false }, y: chart.log ? { distr: 3 } : { range } }, series: [{}, ...series], axes: axes(chart.shown, chart.log, chart.incrs),
    hooks: { setCursor: [(at) => legend(chart, at.cursor.idx)] },
  };
  return new uPlot(options, [[], ...series.map(() => [])], figure);
}

/** The values under the pointer, or the last ones. */
function legend(chart, index) {
  const moment = last.moments[index ?? last.moments.length - 1];
  chart.values.forEach((element, place) => {
    const value = moment ? chart.series[place].value(moment) : null;
    element.textContent = value == null ? '–' : chart.shown(value);
  });
}

function make(chart) {
  const canvas = h('div', { role: 'img' });
  chart.values = [];
  const keys = (chart.series ?? []).map(({ name, colour: of }) => {
    const value = h('b', {}, '–');
    chart.values.push(value);
    return h('span', {}, h('i', { 'data-colour': of }), `${name} `, value);
  });
  const figure = h('figure', { class: 'card chart', id: `chart-${chart.id}` },
    h('figcaption', {}, chart.title, h('span', { class: 'legend' }, keys)), canvas);
  return { ...chart, figure, canvas };
}

/** Draws all anew, as after a change of colours or size. */
export function redraw() {
  for (const chart of made) {
    chart.plot?.destroy();
    chart.plot = chart.heat ? heat(chart.canvas, HEIGHT, axes) : plot(chart, chart.canvas);
  }
  show(last.moments, last.bounds, last.wanted);
}

/** Shows moments, of which `wanted` seconds are to be seen. */
export function show(moments, bounds, wanted) {
  last = { moments, bounds, wanted };
  const times = moments.map(({ at }) => at);
  const end = times.at(-1) ?? Date.now() / 1000;
  for (const chart of made) {
    if (!chart.plot) continue;
    chart.plot.batch(() => {
      const data = chart.heat ? chart.plot.told(moments, bounds) : chart.series.map(({ value }) => moments.map(value));
      chart.plot.setData([times, ...data], true);
      chart.plot.setScale('x', { min: Math.max(end - wanted, Math.min(times[0] ?? end, end - SHORTEST)), max: end });
    });
    if (!chart.heat) legend(chart, chart.plot.cursor.idx);
    set(chart.canvas, 'aria-label', summary(chart, moments));
  }
}

/** What a chart shows, in words. */
function summary(chart, moments) {
  if (!moments.length) return `${chart.title}: nothing yet`;
  if (chart.heat) {
    const slow = moments.reduce((most, { latency }) => Math.max(most, latency?.max ?? 0), 0);
    return `${chart.title}: a heat map; the longest took ${millis(slow)}`;
  }
  const told = chart.series.map(({ name, value }) => {
    const values = moments.map(value).filter((one) => one != null);
    return values.length ? `${name} ${chart.shown(values.at(-1))} now, ${chart.shown(Math.max(...values))} at most` : `${name} none`;
  });
  return `${chart.title}: ${told.join('; ')}`;
}

/** Puts the charts into the page. */
export function start() {
  made = CHARTS.map(make);
  at('charts').append(...made.map(({ figure }) => figure));
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (Math.abs(contentRect.width - width) < 2) return;
    width = contentRect.width;
    redraw();
  }).observe(at('charts'));
}

/** What the figures at the top and the headline tell of the last moments. */
export function brief(moments) {
  const few = moments.slice(-5);
  const span = few.reduce((all, { span_ms }) => all + span_ms, 0) / 1000 || 1;
  const requests = few.reduce((all, moment) => all + sum(moment.requests), 0);
  const errors = few.reduce((all, moment) => all + moment.requests[4], 0);
  const took = moments.findLast(({ latency }) => latency)?.latency;
  return { requests: requests / span, share: requests ? errors / requests : 0, p50: took?.p50, p99: took?.p99, words: percent };
}
