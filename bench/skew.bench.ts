/**
 * The skew bench: half of all events in one cell against events spread evenly, and the ratio. How to read it: bench/README.md.
 *
 *   npm run bench:skew -- [--events 2400000] [--drivers 20000] [--partitions 16] [--runs 3] [--seed 1] [--json]
 *
 * The last line is JSON; `--json` prints nothing else.
 */
import { command, count } from './command.js';
import { canonicalMarket } from './market.js';
import { median, microsPerEvent } from './machine.js';
import { HOT_SHARE, measureSkew, type SkewRun } from './skew.js';

const { whole, say, tell } = command('skew', {
  events: '2400000',
  drivers: '20000',
  partitions: '16',
  runs: '3',
  seed: '1',
});
const size = { events: whole('events'), drivers: whole('drivers'), seed: whole('seed') };
const market = canonicalMarket({ partitions: whole('partitions') });
const ratioOf = ({ hot, uniform }: SkewRun): number => hot.eventsPerSecond / uniform.eventsPerSecond;
const lastMinuteRatioOf = ({ hot, uniform }: SkewRun): number =>
  hot.lastMinute.eventsPerSecond / uniform.lastMinute.eventsPerSecond;

say(`${count(size.drivers)} drivers, ${count(size.events)} pings, ${market.config.partitions} partitions`);
const runs: SkewRun[] = [];
for (let run = 1; run <= whole('runs'); run++) {
  const one = await measureSkew(market, size, run % 2 === 0);
  runs.push(one);
  say(
    `run ${run}: ${100 * HOT_SHARE} % in one cell ${count(one.hot.eventsPerSecond)}, uniform ${count(one.uniform.eventsPerSecond)} events/s, ratio ${ratioOf(one).toFixed(3)}; until the last minute is final ${lastMinuteRatioOf(one).toFixed(3)}; rows ${count(one.hot.rows)} and ${count(one.uniform.rows)}`,
  );
}
const microsOf = (which: 'hot' | 'uniform'): number =>
  median(runs.map(({ [which]: { cpu } }) => microsPerEvent(size.events, cpu.process, cpu.server)));
for (const which of ['hotResult', 'uniformResult'] as const) {
  const hashes = new Set(runs.map((run) => run[which].rowsHash));
  if (hashes.size !== 1) throw new Error(`the runs made different rows: ${[...hashes].join(', ')}`);
}
const ratio = median(runs.map(ratioOf));
const lastMinuteRatio = median(runs.map(lastMinuteRatioOf));
say();
say(
  `  HOT / UNIFORM   ${ratio.toFixed(3)}   the median of ${runs.length} pairs; until the last minute is final ${lastMinuteRatio.toFixed(3)}`,
);
say(`  processor: ${microsOf('hot').toFixed(2)} µs an event hot, ${microsOf('uniform').toFixed(2)} uniform`);
tell({ size, ratio: Number(ratio.toFixed(4)), lastMinuteRatio: Number(lastMinuteRatio.toFixed(4)), runs });
