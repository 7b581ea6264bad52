/**
 * The latency bench: how soon an event that was accepted can be read in its cell, and how soon a minute's rows are there.
 * How to read it: bench/README.md.
 *
 *   npm run bench:latency -- [--rate 50000] [--drivers 20000] [--minutes 5] [--probes 500] [--partitions 16]
 *                            [--workers 0] [--seed 1] [--json]
 *
 * Fails when the rate was not kept, or fewer than `--cells 10000` cells had rows. The last line is JSON; `--json` prints nothing else.
 */
import { command, count, ms } from './command.js';
import { measureLatency } from './latency.js';
import type { Quantiles } from './live/samples.js';

/** Eleven geohashes of four characters for drivers, 11,264 cells; the last one for probes. */
const COVER = [
  '9q8y',
  '9q8z',
  '9q8v',
  '9q9p',
  '9q9j',
  '9q9n',
  '9q9h',
  '9q8u',
  '9q8t',
  '9q95',
  '9q9r',
  '9q8g',
];
const PROBE_CELLS = 1_000;
const WARM_UP_MS = 15_000;
const WARM_UP_MINUTES = 1;

const { values, whole, say, tell } = command('latency', {
  rate: '50000',
  drivers: '20000',
  minutes: '5',
  probes: '500',
  cells: '10000',
  partitions: '16',
  workers: '0',
  seed: '1',
});
const size = {
  eventsPerSecond: whole('rate'),
  drivers: whole('drivers'),
  minutes: whole('minutes'),
  partitions: whole('partitions'),
  workers: values['workers'] === '0' ? 0 : whole('workers'),
  seed: whole('seed'),
};
const cells = whole('cells');
const line = (what: string, { p50, p90, p99, max, count: of }: Quantiles): void => {
  say(`  ${what.padEnd(46)} p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)} (${count(of)})`);
};

say(
  `${count(size.eventsPerSecond)} events/s of ${count(size.drivers)} drivers until ${size.minutes} minutes have ended, ${size.workers === 0 ? 'the node in this process' : `${size.workers} node process${size.workers === 1 ? '' : 'es'}`}`,
);
const report = await measureLatency({
  ...size,
  cover: COVER,
  probesPerSecond: whole('probes'),
  probeCells: PROBE_CELLS,
  warmUpMs: WARM_UP_MS,
  warmUpMinutes: WARM_UP_MINUTES,
  onMinute: ({ rows, firstRowMs, lastRowMs }, measured) => {
    say(
      `  a minute's ${count(rows)} cell rows: the first after ${ms(firstRowMs)}, the last after ${ms(lastRowMs)}${measured ? '' : ' (warming up)'}`,
    );
  },
});
const fewest = Math.min(...report.minutes.map(({ rows }) => rows));
if (fewest < cells) throw new Error(`a minute had rows of ${count(fewest)} cells: take more drivers`);
const last = Math.max(...report.minutes.map(({ lastRowMs }) => lastRowMs));
const share = (used: number): string => `${((100 * used) / report.seconds).toFixed(0)} %`;
say();
line('due → readable in its cell (live value)', report.dueToLiveMs);
line('… of which due → offered', report.dueToOfferedMs);
line('watermark may pass the minute → cell row', report.minuteToRowMs);
say(`  the last of a minute's cell rows, the worst of ${report.minutes.length}  ${ms(last)}`);
say(
  `  ${count(report.offered)} events in ${report.seconds.toFixed(0)} s; processor, of a core: ${size.workers === 0 ? 'node and view' : 'view'} ${share(report.cpu.process)}, nats-server ${share(report.cpu.server)}, load ${share(report.cpu.load)}${size.workers === 0 ? '' : `, nodes ${share(report.cpu.workers)}`}`,
);
tell({ size, ...report });
