/**
 * A steady load for a long time: memory, files, streams and latency must be flat.
 *
 *   npm run soak -- [--for 1h] [--rate 20000] [--drivers 20000] [--nodes 1] [--region sf] [--seed 1] [--json]
 *
 * What is kept is kept for a twelfth of the run (1 to 10 minutes), so that what is not given back shows. Each figure's drift
 * is that of a line through the second half of its samples. Flat: it does not rise by more than its bound an hour, or by
 * no more than two standard errors. The exit code is 1 when something is not flat; a run of less than 20 minutes is too
 * short to judge, and says so.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDurationMs } from '../src/core/duration.js';
import { machine } from './machine.js';
import { runSoak } from './soak/soak.js';

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '1h' },
    rate: { type: 'string', default: '20000' },
    drivers: { type: 'string', default: '20000' },
    nodes: { type: 'string', default: '1' },
    region: { type: 'string', default: 'sf' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const JUDGED_FROM_SECONDS = 1_200;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const forMs = parseDurationMs(values.for);
if (forMs === undefined) throw new Error(`--for: "${values.for}" is no duration: write 1h`);
const seconds = forMs / 1_000;
const on = machine();
const say = (line: string): void => {
  if (!values.json) console.log(line);
};
const startedMs = performance.now();
const eventsPerSecond = whole('rate', values.rate);
const nodes = whole('nodes', values.nodes);
say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
say(`${eventsPerSecond.toLocaleString('en-US')} events/s into ${nodes} nodes for ${values.for}`);

const folder = await mkdtemp(join(tmpdir(), 'groundswell-soak-'));
try {
  let samples = 0;
  const report = await runSoak({
    region: values.region,
    folder,
    nodes,
    eventsPerSecond,
    drivers: whole('drivers', values.drivers),
    seconds,
    seed: whole('seed', values.seed),
    onSample: (line) => {
      if (++samples % 10 === 0) say(`  ${((performance.now() - startedMs) / 1_000).toFixed(0)} s: ${line}`);
    },
  });
  const { load, drifts, keptSeconds } = report;
  const judged = seconds >= JUDGED_FROM_SECONDS;
  say('');
  say(
    `  ${Math.round(load.eventsPerSecond).toLocaleString('en-US')} events/s accepted, ${load.late} late, ${load.refused} refused, ${load.pushedBack} pushed back; what is kept is kept for ${keptSeconds} s`,
  );
  say(
    `  ${'over the second half'.padEnd(28)} ${'mean'.padStart(12)} ${'an hour'.padStart(12)} ${'±'.padStart(9)} ${'bound'.padStart(9)}`,
  );
  for (const { name, unit, mean, perHour, errorPerHour, boundPerHour, flat } of drifts) {
    const verdict = flat ? 'flat' : judged ? 'GROWS' : 'grows (too short a run to judge)';
    say(
      `  ${name.padEnd(28)} ${figure(mean).padStart(12)} ${signed(perHour).padStart(12)} ${figure(errorPerHour).padStart(9)} ${figure(boundPerHour).padStart(9)} ${unit}: ${verdict}`,
    );
  }
  const flat = drifts.every((drift) => drift.flat);
  console.log(JSON.stringify({ bench: 'soak', machine: on, nodes, seconds, judged, flat, ...report }));
  if (judged && !flat) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function figure(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 });
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${figure(Math.abs(value))}`;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: "${text}" is no whole number above 0`);
  return value;
}
