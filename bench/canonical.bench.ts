/**
 * The canonical bench: how many events a second go through the whole path, and how that compares with a program that
 * only fetches and decodes the same frames. Then what each stage of the path costs. How to read it: bench/README.md.
 *
 *   npm run bench -- [--events N] [--drivers N] [--partitions N] [--windows 1m,5m] [--runs N] [--json] [--no-stages]
 *
 * The last line is JSON; `--json` prints nothing else.
 */
import { parseArgs } from 'node:util';
import { parseDurationMs } from '../src/core/duration.js';
import { runAlone, runEndToEnd, type Alone, type CanonicalSize, type EngineTiming } from './canonical.js';
import { machine, median } from './machine.js';
import { measureStage, type StageReport } from './stage.js';
import { STAGES } from './stages/index.js';
import { canonicalMarket } from './market.js';

const NOT_MEASURED = [
  'reading files, parsing and checking events (the workload comes checked; see the stage "check")',
  'single-row messages on the aggregate subjects (see the stage "publish"), HTTP, subscribers',
  'riders, late data, recovery, more than one node, a network between server and engine',
  'a disk other than this one: what an acknowledged batch costs is its fsync',
];

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2400000' },
    drivers: { type: 'string', default: '20000' },
    partitions: { type: 'string', default: '16' },
    windows: { type: 'string' },
    runs: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    stages: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

const say = (line = ''): void => {
  if (!values.json) console.log(line);
};
const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const seconds = (value: number): string => `${value.toFixed(2)} s`;

const size: CanonicalSize = {
  drivers: whole('drivers', values.drivers),
  events: whole('events', values.events),
  seed: whole('seed', values.seed),
};
const market = canonicalMarket({
  partitions: whole('partitions', values.partitions),
  windowsMs: values.windows?.split(',').map((text) => {
    const ms = parseDurationMs(text);
    if (ms === undefined) throw new Error(`--windows: "${text}" is no duration: write 1m,5m`);
    return ms;
  }),
});
const on = machine();
say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
say(`${count(size.drivers)} drivers, ${count(size.events)} pings, ${market.config.partitions} partitions`);

const endToEnd: EngineTiming[] = [];
const alone: Alone[] = [];
const hashes = new Set<string>();
let rows: Readonly<Record<string, number>> = {};
for (let run = 1; run <= whole('runs', values.runs); run++) {
  const first = await runEndToEnd(market, size);
  const second = await runAlone(market, size);
  endToEnd.push(first.timing);
  alone.push(second.alone);
  for (const { result } of [first, second]) {
    hashes.add(result.rowsHash);
    rows = result.rows;
    if (result.taken !== size.events)
      throw new Error(`${count(result.taken)} events took effect of ${count(size.events)}`);
  }
  say(
    `run ${run}: end to end ${count(first.timing.eventsPerSecond)}, engine alone ${count(second.alone.engine.eventsPerSecond)}, null reader ${count(second.alone.nullReader.eventsPerSecond)} events/s`,
  );
}
if (hashes.size !== 1) throw new Error(`the runs made different rows: ${[...hashes].join(', ')}`);

const rate = (of: (run: Alone) => { eventsPerSecond: number }): number =>
  median(alone.map((run) => of(run).eventsPerSecond));
const whole1 = medianRun(endToEnd);
const engine = medianRun(alone.map((run) => run.engine));
const figures = {
  endToEnd: median(endToEnd.map((run) => run.eventsPerSecond)),
  endToEndLastMinute: median(endToEnd.map((run) => run.lastMinute.eventsPerSecond)),
  nullReader: rate((run) => run.nullReader),
  rawReader: rate((run) => run.rawReader),
  producer: rate((run) => run.producer),
  engineAlone: rate((run) => run.engine),
  engineAloneLastMinute: rate((run) => run.engine.lastMinute),
};
const ratio = figures.endToEnd / figures.nullReader;

say();
say(`  END TO END    ${count(figures.endToEnd).padStart(11)} events/s`);
say(`  NULL READER   ${count(figures.nullReader).padStart(11)} events/s      ratio ${ratio.toFixed(3)}`);
say();
say(`  medians of ${endToEnd.length} runs, events/s`);
line('end to end, until the last minute with events is final', figures.endToEndLastMinute);
line('engine alone: the producer had finished before', figures.engineAlone);
line('engine alone, until the last minute with events is final', figures.engineAloneLastMinute);
line('producer alone', figures.producer);
line('raw reader: frames fetched, not decoded', figures.rawReader);
describe('end to end', whole1);
describe('engine alone', engine);
say();
say('  not measured:');
for (const what of NOT_MEASURED) say(`    ${what}`);

const stages: StageReport[] = [];
if (values.stages) {
  say();
  say('  stages, median ns per operation');
  for (const stage of STAGES) {
    const report = await measureStage(stage, 'full');
    stages.push(report);
    const figuresOf = report.candidates.map(({ name, nsPerOperation }) => `${name} ${count(nsPerOperation)}`);
    say(`    ${`${report.stage} (per ${report.operation})`.padEnd(30)} ${figuresOf.join(' · ')}`);
  }
}
console.log(
  JSON.stringify({
    bench: 'canonical',
    machine: on,
    size: { ...size, partitions: market.config.partitions, windowsMs: market.config.windowsMs },
    eventsPerSecond: mapValues(figures, Math.round),
    ratio: Number(ratio.toFixed(4)),
    rowsHash: [...hashes][0],
    rows,
    runs: { endToEnd, alone },
    stages,
  }),
);

function line(what: string, figure: number): void {
  say(`    ${what.padEnd(60)} ${count(figure).padStart(11)}`);
}

function describe(what: string, run: EngineTiming): void {
  const { cpu, rows: rowCount, batches, batchBytes } = run;
  say();
  say(
    `  ${what}, the median run: ${seconds(run.seconds)}; last event produced after ${seconds(run.producedSeconds)}, its minute final after ${seconds(run.lastMinute.seconds)}`,
  );
  say(
    `    ${count(rowCount)} rows; ${count(batches)} batches of ${count(batchBytes / batches / 1024)} KiB; processor: this process ${seconds(cpu.process)}, producer ${seconds(cpu.producer)}, nats-server ${seconds(cpu.server)}`,
  );
}

function medianRun(runs: readonly EngineTiming[]): EngineTiming {
  return runs.toSorted((a, b) => a.seconds - b.seconds)[(runs.length - 1) >> 1]!;
}

function mapValues<K extends string>(
  record: Record<K, number>,
  map: (value: number) => number,
): Record<K, number> {
  return Object.fromEntries(
    Object.entries<number>(record).map(([key, value]) => [key, map(value)]),
  ) as Record<K, number>;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: "${text}" is no whole number above 0`);
  return value;
}
