/**
 * `npm run simulate -- --seeds 1000`: runs seeds one after the other. A seed that fails prints what was wrong and the command
 * that repeats it. `--seed N --trace` prints everything that happened; `--canary P3` runs the engine broken on purpose.
 */
import { parseArgs } from 'node:util';
import { CANARIES, type CanaryName } from './canaries.js';
import { FAULT_KINDS, type FaultKind } from './schedule.js';
import { shrink, simulate, type SeedResult, type SimulateOptions } from './simulate.js';

const VIOLATIONS_SHOWN = 8;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    canary: { type: 'string' },
    without: { type: 'string' },
    trace: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'fail-fast': { type: 'boolean', default: false },
  },
});

const out = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const options = optionsOf();
  if (values.seed !== undefined) return single(Number(values.seed), options);
  const from = Number(values.from);
  const count = Number(values.seeds);
  const begun = performance.now();
  const failed: SeedResult[] = [];
  let virtualMs = 0;
  let commits = 0;
  let taken = 0;
  let handedOver = 0;
  const happened: Record<string, number> = {};
  let done = 0;
  for (let seed = from; seed < from + count; seed++) {
    const result = await simulate(seed, options);
    done++;
    virtualMs += result.virtualMs;
    commits += result.commits;
    taken += result.taken;
    handedOver += result.handedOver;
    for (const [kind, n] of Object.entries(result.happened)) happened[kind] = (happened[kind] ?? 0) + n;
    if (result.violations.length > 0) {
      failed.push(result);
      if (!values.json) report(result);
      if (values['fail-fast']) break;
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${done}/${count} seeds, ${failed.length} failed`);
  }
  const seconds = (performance.now() - begun) / 1000;
  const summary = {
    seeds: done,
    failed: failed.map(({ seed }) => seed),
    seedsPerSecond: Number((done / seconds).toFixed(2)),
    virtualHours: Number((virtualMs / 3_600_000).toFixed(2)),
    commits,
    taken,
    handedOver,
    faults: happened,
  };
  if (values.json) out(JSON.stringify(summary));
  else {
    if (process.stderr.isTTY) process.stderr.write('\r');
    out(`${done} seeds, ${failed.length} failed; ${summary.seedsPerSecond} seeds/s`);
    out(
      `${summary.virtualHours} virtual hours, ${commits} commits, ${taken} times a partition was taken, ${handedOver} times handed over; faults: ${JSON.stringify(happened)}`,
    );
  }
  return failed.length === 0 ? 0 : 1;
}

async function single(seed: number, options: SimulateOptions): Promise<number> {
  const trace: SimulateOptions = values.trace
    ? {
        trace: ({ atMs, who, what }) => {
          out(`${(atMs / 1000).toFixed(6).padStart(12)} ${who.padEnd(12)} ${what}`);
        },
      }
    : {};
  const result = await simulate(seed, { ...options, ...trace });
  if (values.json) {
    out(JSON.stringify(result));
    return result.violations.length === 0 ? 0 : 1;
  }
  out(JSON.stringify(result.plan));
  report(result);
  if (result.violations.length === 0)
    out(`seed ${seed} passes: ${result.events} events, hash ${result.hash.toString(16)}`);
  if (values.shrink && result.violations.length > 0) {
    const without = await shrink(seed, options);
    out(`  still fails with: --seed ${seed} --without ${without.join(',')}`);
  }
  return result.violations.length === 0 ? 0 : 1;
}

function report({ seed, violations }: SeedResult): void {
  if (violations.length === 0) return;
  out(`seed ${seed} fails; repeat it with: npm run simulate -- --seed ${seed}${again()}`);
  for (const { check, atMs, what } of violations.slice(0, VIOLATIONS_SHOWN))
    out(`  ${(atMs / 1000).toFixed(3)} s ${check}: ${what}`);
  if (violations.length > VIOLATIONS_SHOWN) out(`  and ${violations.length - VIOLATIONS_SHOWN} more`);
}

function again(): string {
  const canary = values.canary === undefined ? '' : ` --canary ${values.canary}`;
  return values.without === undefined ? canary : `${canary} --without ${values.without}`;
}

function optionsOf(): SimulateOptions {
  const without = (values.without ?? '').split(',').filter((kind) => kind !== '');
  const unknown = without.filter((kind) => !(FAULT_KINDS as readonly string[]).includes(kind));
  if (unknown.length > 0)
    throw new Error(`no such fault: ${unknown.join(', ')}; there are ${FAULT_KINDS.join(', ')}`);
  if (values.canary === undefined) return { without: without as FaultKind[] };
  if (!(values.canary in CANARIES))
    throw new Error(`no such canary: ${values.canary}; there are ${Object.keys(CANARIES).join(', ')}`);
  return { without: without as FaultKind[], canary: CANARIES[values.canary as CanaryName].breaks };
}

process.exitCode = await main();
