/**
 * A steady live load on one node, in a process of its own, for as long as asked: how fresh live values and region rows
 * are, and whether memory stays flat.
 *
 *   npm run load -- [--rate 20000] [--drivers 20000] [--for 10m] [--seed 1] [--json]
 *
 * Everything goes in and out over HTTP: NDJSON batches in, event streams out. The load generator runs on the same
 * machine and takes its share of it. The last line is JSON; `--json` prints nothing else.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDurationMs } from '../src/core/duration.js';
import { runLoad } from './live/load.js';
import type { Quantiles } from './live/samples.js';
import { machine } from './machine.js';
import { PROBE, REGIONS_FOLDER } from './live/place.js';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20000' },
    drivers: { type: 'string', default: '20000' },
    for: { type: 'string', default: '10m' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const rate = whole('rate', values.rate);
/** Of the canonical workload. A driver pings once in drivers ÷ rate seconds. */
const drivers = whole('drivers', values.drivers);
const forMs = parseDurationMs(values.for);
if (forMs === undefined) throw new Error(`--for: "${values.for}" is no duration: write 10m`);
const on = machine();
const say = (line: string): void => {
  if (!values.json) console.log(line);
};
const ms = (value: number): string => `${Math.round(value).toLocaleString('en-US')} ms`;
const line = (what: string, of: Quantiles | undefined): void => {
  if (of === undefined) say(`  ${what.padEnd(34)} nothing measured`);
  else
    say(
      `  ${what.padEnd(34)} p50 ${ms(of.p50)}, p90 ${ms(of.p90)}, p99 ${ms(of.p99)}, max ${ms(of.max)} (${of.count})`,
    );
};

say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
say(
  `${rate.toLocaleString('en-US')} events/s of ${drivers.toLocaleString('en-US')} drivers for ${values.for}`,
);
const dataDir = await mkdtemp(join(tmpdir(), 'groundswell-load-'));
try {
  const report = await runLoad({
    region: 'sf',
    regionsDir: REGIONS_FOLDER,
    dataDir,
    eventsPerSecond: rate,
    drivers,
    seconds: forMs / 1_000,
    seed: whole('seed', values.seed),
    probe: PROBE,
    onSecond: ({ second, accepted, liveMs, rssBytes }) => {
      if (second % 30 !== 0) return;
      const live = liveMs === undefined ? '' : `, live p50 ${ms(liveMs.p50)}, p99 ${ms(liveMs.p99)}`;
      say(
        `  ${second} s: ${accepted.toLocaleString('en-US')} accepted${live}, ${Math.round(rssBytes / 1_024 ** 2)} MiB`,
      );
    },
  });
  say('');
  say(
    `  ${Math.round(report.eventsPerSecond).toLocaleString('en-US')} events/s accepted, ${report.late} late, ${report.refused} refused, ${report.pushedBack} pushed back`,
  );
  line('answer to a POST', report.postMs);
  line('accepted to live value', report.acceptedToLiveMs);
  line('sent to live value', report.sentToLiveMs);
  line('minute’s end + bound to region row', report.minuteToRegionRowMs);
  const { firstMiB, lastMiB, maxMiB, perHourMiB } = report.rss;
  say(
    `  memory after the first third           ${firstMiB.toFixed(0)} MiB, at the end ${lastMiB.toFixed(0)}, at most ${maxMiB.toFixed(0)}; trend ${perHourMiB.toFixed(0)} MiB an hour`,
  );
  say(
    `  the node used ${report.cores.toFixed(2)} cores, ${report.actors.toLocaleString('en-US')} actors in memory, ${Math.round(report.streamBytesPerEvent)} bytes of stream per event`,
  );
  say(
    `  drained in                             ${report.drain.seconds.toFixed(2)} s, exit code ${report.drain.code ?? '?'}; ${report.complaints.length} warnings`,
  );
  for (const complaint of report.complaints.slice(0, 5)) say(`    ${complaint}`);
  console.log(JSON.stringify({ bench: 'live', machine: on, rate, drivers, ...report }));
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: "${text}" is no whole number above 0`);
  return value;
}
