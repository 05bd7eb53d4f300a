// A heat map: how many requests took how long, over time. Each moment is a column, each step of latency a row.

import { millis } from './format.js';
import { colour } from './theme.js';

/** The colours from few to many. */
function ramp() {
  const apart = (name) => colour(name).match(/[\d.]+/g).map(Number);
  const [from, to] = [apart('heat-0'), apart('heat-1')];
  return (share) => `rgb(${from.slice(0, 3).map((part, place) => Math.round(part + (to[place] - part) * share)).join(' ')})`;
}

/** A heat map in an element; `told(moments, bounds)` takes what is shown. */
export function heat(element, height, axes) {
  let [moments, bounds] = [[], []];
  const shade = ramp();
  const draw = (plot) => {
    const most = Math.max(1, ...moments.flatMap(({ latency }) => latency?.steps ?? []));
    const { ctx } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    for (const { at, span_ms: span, latency } of moments) {
      if (!latency) continue;
      const left = plot.valToPos(at - span / 1000, 'x', true);
      const wide = Math.max(1, plot.valToPos(at, 'x', true) - left + 0.5);
      latency.steps.forEach((count, step) => {
        if (!count) return;
        const low = plot.valToPos(step ? bounds[step - 1] : bounds[0] / 1.78, 'y', true);
        const high = plot.valToPos(bounds[step] ?? bounds.at(-1) * 1.78, 'y', true);
        // Few are to be seen beside many.
        ctx.fillStyle = shade(0.18 + 0.82 * Math.log1p(count) / Math.log1p(most));
        ctx.fillRect(left, high, wide, low - high + 0.5);
      });
    }
    ctx.restore();
  };
  /** What rows are to be seen: from the quickest to the slowest there is. */
  const range = () => {
    const used = bounds.map((_, step) => moments.some(({ latency }) => latency?.steps[step])).map((is, step) => (is ? step : -1)).filter((step) => step >= 0);
    if (!used.length) return [1, 1000];
    return [bounds[Math.max(0, used[0] - 2)] ?? 0.1, bounds[Math.min(bounds.length - 1, used.at(-1) + 1)]];
  };
  const options = {
    width: element.clientWidth, height, padding: [10, 24, 0, 0], legend: { show: false }, cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'time' } },
    scales: { x: { time: false }, y: { distr: 3, range } }, series: [{}, { show: true, stroke: 'transparent', points: { show: false } }],
    axes: axes(millis, true), hooks: { drawSeries: [draw] },
  };
  const plot = new uPlot(options, [[], []], element);
  plot.told = (all, upto) => {
    [moments, bounds] = [all, upto];
    return [moments.map(({ latency }) => latency?.p50 ?? null)];
  };
  return plot;
}
