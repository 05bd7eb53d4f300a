// The page: what is asked how often, and who shows it.

import { get, list } from './api.js';
import * as bans from './bans.js';
import * as caches from './caches.js';
import * as certificates from './certificates.js';
import * as changes from './changes.js';
import * as charts from './charts.js';
import { at, text } from './dom.js';
import * as explain from './explain.js';
import * as figures from './figures.js';
import { millis, number, percent, span } from './format.js';
import * as headline from './headline.js';
import { every } from './poll.js';
import * as requests from './requests.js';
import * as rules from './rules.js';
import * as session from './session.js';
import * as targets from './targets.js';
import * as theme from './theme.js';
import * as topology from './topology.js';
import * as usage from './usage.js';

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const SPANS = { 300: 1, 3600: 10 };

let pools = [];
let brief = {};
let moments = [];
let wanted = 300;
let isSummedUp = null;

text(at('place'), location.host);
session.start().catch(() => null);
charts.start();
explain.start();
theme.start(charts.redraw);

const showMap = topology.start();
const showTargets = targets.start(() => look());

const look = every(1, async () => {
  const [listeners, routes, all] = await Promise.all([list('/v1/listeners'), list('/v1/routes'), list('/v1/pools')]);
  pools = all;
  showMap(listeners, routes, pools);
  showTargets(pools);
});

every(1, async () => {
  try {
    const [told, status] = await Promise.all([get('/v1/headline'), get('/v1/status')]);
    if (isSummedUp !== status.analytics) {
      isSummedUp = status.analytics;
      lookAtUsage();
    }
    headline.show(told, `${number(brief.requests)} requests/s, ${percent(brief.share)} errors, half within ${millis(brief.p50)}`);
    figures.show([
      { name: 'Requests', value: number(brief.requests), more: 'a second' },
      { name: 'Errors', value: percent(brief.share), more: '500 and above', state: brief.share >= 0.05 ? 'bad' : brief.share >= 0.01 ? 'warn' : null },
      { name: 'Median', value: millis(brief.p50), more: 'half take no longer' },
      { name: '99th percentile', value: millis(brief.p99), more: '1 % take longer' },
      { name: 'Connections', value: number(status.connections.open), more: `of ${number(status.connections.max)}` },
      figures.targets(pools),
    ]);
    text(at('foot'), `Ringway ${status.version}, plan ${status.plan}, up ${span(status.uptime)}, pid ${status.pid}, ${status.workers} workers; times are of ${ZONE}`);
  } catch (refused) {
    headline.away(refused);
    throw refused;
  }
});

const lookAtUsage = usage.start((look) => every(10, look), () => isSummedUp);

const traffic = every(1, async () => {
  const step = SPANS[wanted];
  const after = moments.at(-1)?.at ?? 0;
  const told = await get(`/v1/traffic?step=${step}&after=${after}`);
  if (step !== SPANS[wanted]) return;
  // The clock was put back: what was known is of a time that is yet to come.
  if (told.items.length && told.items[0].at <= after) moments = [];
  moments = [...moments, ...told.items].slice(-400);
  charts.show(moments, told.bounds, wanted);
  brief = charts.brief(moments);
});

at('span').addEventListener('change', (event) => {
  wanted = Number(event.target.value);
  moments = [];
  traffic();
});

every(2, requests.start());
every(2, rules.start());
every(3, caches.start());
every(3, bans.start());
every(3, changes.start());
every(30, certificates.start());
