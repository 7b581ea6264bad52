/**
 * The scale bench: events per second end to end with ever more drivers, and with one node process against two. How to read
 * it: bench/README.md.
 *
 *   npm run bench:scale -- [--drivers 10000,100000,1000000] [--events 2400000] [--pings 24] [--processes 1,2] [--resident 2000000]
 *                          [--partitions 16] [--runs 1] [--json]
 *
 * Each driver pings at least `--pings` times, however many events that takes: with fewer, most of its minutes have no ping in them.
 *
 * The last line is JSON; `--json` prints nothing else.
 */
import { runEndToEnd, type EngineTiming } from './canonical.js';
import { command, count, seconds, wholes } from './command.js';
import { canonicalMarket } from './market.js';
import { median, microsPerEvent } from './machine.js';
import { runProcesses, type ProcessesRun } from './scale.js';

/** Of the comparison of processes: as the canonical bench has them. */
const DRIVERS = 20_000;
const { values, whole, say, tell } = command('scale', {
  drivers: '10000,100000,1000000',
  processes: '1,2',
  events: '2400000',
  pings: '24',
  resident: '2000000',
  partitions: '16',
  runs: '1',
  seed: '1',
});
const sizes = wholes('drivers', values['drivers']!);
const processes = wholes('processes', values['processes']!);
const seed = whole('seed');
const runs = whole('runs');
const market = canonicalMarket({ partitions: whole('partitions'), residentActors: whole('resident') });

const byDrivers: { drivers: number; events: number; timings: EngineTiming[] }[] = [];
for (const drivers of sizes) {
  const events = Math.max(whole('events'), whole('pings') * drivers);
  byDrivers.push({ drivers, events, timings: [] });
}
for (let run = 1; run <= runs; run++) {
  for (const { drivers, events, timings } of byDrivers) {
    const { timing, result } = await runEndToEnd(market, { drivers, events, seed });
    if (result.taken !== events) throw new Error(`${result.taken} events took effect of ${events}`);
    timings.push(timing);
    say(
      `  ${count(drivers).padStart(9)} drivers, ${count(events)} pings: ${count(timing.eventsPerSecond)} events/s; until the last minute is final ${count(timing.lastMinute.eventsPerSecond)}; ${count(timing.rows)} rows; processor: engine ${seconds(timing.cpu.process)}, producer ${seconds(timing.cpu.producer)}, nats-server ${seconds(timing.cpu.server)}; engine and server ${microsOf(timing, events).toFixed(2)} µs an event`,
    );
  }
}
const rateOf = (of: (timing: EngineTiming) => number, timings: readonly EngineTiming[]): number =>
  median(timings.map(of));
const [first] = byDrivers;
const ratios = byDrivers.map(({ drivers, events, timings }) => ({
  drivers,
  events,
  eventsPerSecond: rateOf((one) => one.eventsPerSecond, timings),
  ratio: rateOf((one) => one.eventsPerSecond, timings) / rateOf((one) => one.eventsPerSecond, first!.timings),
  lastMinuteRatio:
    rateOf((one) => one.lastMinute.eventsPerSecond, timings) /
    rateOf((one) => one.lastMinute.eventsPerSecond, first!.timings),
  microsPerEvent: rateOf((one) => microsOf(one, events), timings),
}));
say();
for (const { drivers, ratio, lastMinuteRatio } of ratios)
  say(
    `  ${count(drivers).padStart(9)} drivers  ${ratio.toFixed(3)} of the first; until the last minute is final ${lastMinuteRatio.toFixed(3)}`,
  );

const byProcesses: { processes: number; runs: ProcessesRun[] }[] = processes.map((one) => ({
  processes: one,
  runs: [],
}));
const size = { drivers: DRIVERS, events: whole('events'), seed };
if (byProcesses.length > 0) say();
const hashes = new Set<string>();
for (let run = 1; run <= runs; run++) {
  for (const each of byProcesses) {
    const one = await runProcesses(market, size, each.processes);
    each.runs.push(one);
    hashes.add(one.result.rowsHash);
    const { timing, nodes } = one;
    const used = nodes.map(
      ({ cpuSeconds, partitions }) => `${seconds(cpuSeconds)} (${partitions} partitions)`,
    );
    say(
      `  ${each.processes} node process${each.processes === 1 ? '' : 'es'}: ${count(timing.eventsPerSecond)} events/s in ${seconds(timing.seconds)}; processor: nodes ${used.join(' + ')}, reader of rows ${seconds(timing.cpu.process)}, producer ${seconds(timing.cpu.producer)}, nats-server ${seconds(timing.cpu.server)}`,
    );
  }
}
if (hashes.size > 1) throw new Error(`the runs made different rows: ${[...hashes].join(', ')}`);
tell({ partitions: market.config.partitions, ratios, byDrivers, byProcesses });

function microsOf({ cpu }: EngineTiming, events: number): number {
  return microsPerEvent(events, cpu.process, cpu.server);
}
