// The page: what is asked how often, and who shows it.

import { get, list } from './api.js';
import { at, text } from './dom.js';
import * as figures from './figures.js';
import { number, span } from './format.js';
import { every } from './poll.js';
import { rate } from './rates.js';
import * as session from './session.js';
import * as targets from './targets.js';
import * as theme from './theme.js';
import * as topology from './topology.js';

theme.start(() => {});
text(at('place'), location.host);
session.start().catch(() => null);

const showMap = topology.start();
const showTargets = targets.start(() => look());

const look = every(1, async () => {
  const [status, listeners, routes, pools] = await Promise.all([get('/v1/status'), list('/v1/listeners'), list('/v1/routes'), list('/v1/pools')]);
  showMap(listeners, routes, pools);
  showTargets(pools);
  const requests = listeners.reduce((sum, listener) => sum + listener.requests, 0);
  figures.show([
    { name: 'Requests', value: number(rate('requests', requests)), more: 'a second' },
    { name: 'Connections', value: number(status.connections.open), more: `of ${number(status.connections.max)}` },
    figures.targets(pools),
  ]);
  text(at('foot'), `Ringway ${status.version}, plan ${status.plan}, up ${span(status.uptime)}, pid ${status.pid}, ${status.workers} workers`);
});
