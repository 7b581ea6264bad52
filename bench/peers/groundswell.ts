/**
 * Groundswell twice: with two actor types that do the job of the peers, written as a feature author would; and with all
 * built-in actors, windows and scores, the canonical bench itself, which does far more.
 */
import { defineActor, windowed, type Behaviour } from '../../src/index.js';
import { Registry } from '../../src/actor/registry.js';
import { runEndToEnd } from '../canonical.js';
import { canonicalMarket, type Market } from '../market.js';
import {
  MINUTE_MS,
  minuteOf,
  newDriver,
  takePing,
  type DriverState,
  type JobPing,
  type JobRow,
  type Peer,
} from './job.js';

const GUARANTEES =
  'every event takes effect once and every row is written once, whatever crashes, power loss included; late data is put aside and counted';

const driver = defineActor<DriverState>({
  type: 'driver',
  sends: ['cell'],
  state: newDriver,
  events: {
    'driver.location': {
      key: 'driverId',
      handle(state, event, ctx) {
        const ping = event as unknown as JobPing;
        const drivers = takePing(state, ping);
        if (drivers !== undefined) ctx.send('cell', ping.cell, 'add', minuteOf(ping.ts), { n: [1, drivers] });
      },
    },
  },
});

const cell = windowed({
  type: 'cell',
  sends: [],
  paneMs: MINUTE_MS,
  windowsMs: [MINUTE_MS],
  allowedLatenessMs: 0,
  counters: ['pings', 'drivers'],
  onClose(ctx, closed) {
    for (const { endMs, rev, tally } of closed)
      ctx.emit({
        level: 'cell',
        key: ctx.key,
        window: '1m',
        start: endMs - MINUTE_MS,
        end: endMs,
        rev,
        features: { pings: tally.n[0]!, drivers: tally.n[1]! },
      });
  },
});

function jobMarket(): Market {
  const market = canonicalMarket({ windowsMs: [MINUTE_MS] });
  return { ...market, registry: new Registry([driver as Behaviour, cell]) };
}

export const groundswell: Peer = {
  name: 'groundswell',
  what: 'two actor types that do this job',
  guarantees: GUARANTEES,
  eventsMax: Number.POSITIVE_INFINITY,
  async run(size) {
    const rows: JobRow[] = [];
    const { timing, result } = await runEndToEnd(jobMarket(), size, ({ key, start, features }) => {
      rows.push({ cell: key, start, pings: features['pings']!, drivers: features['drivers']! });
    });
    if (result.taken !== size.events) throw new Error(`${result.taken} events took effect of ${size.events}`);
    return { events: size.events, seconds: timing.seconds, rows };
  },
};

export const everything: Peer = {
  name: 'groundswell-all',
  what: 'all built-in features, four windows, three levels above the cell, scores',
  guarantees: GUARANTEES,
  eventsMax: Number.POSITIVE_INFINITY,
  async run(size) {
    const { timing, result } = await runEndToEnd(canonicalMarket({}), size);
    if (result.taken !== size.events) throw new Error(`${result.taken} events took effect of ${size.events}`);
    return { events: size.events, seconds: timing.seconds, rows: undefined };
  },
};
