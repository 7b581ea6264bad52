/**
 * Real nodes over real servers, killed, stopped, drained and started again at random while events flow; then every
 * published row is compared with the truth of the events.
 *
 *   npm run crash-test -- [--kills 50] [--nodes 3] [--cluster] [--standbys 1] [--seed N]
 *                         [--speed 60x] [--trace FILE] [--region sf] [--rounds 3] [--rate 2000] [--keep] [--json]
 *
 * First a trace is replayed at speed and everything is struck: nodes with SIGKILL (now and then their data goes too),
 * SIGSTOP for longer than their lease, SIGTERM, and nats-servers with SIGKILL. Then a steady live load runs while all nodes
 * are restarted in turn `--rounds` times, and some are killed: there the pauses are measured, for a replay gathers its
 * commits. Without a seed, a new one; without a trace, a city simulated from the seed. Exit code 1 when anything is wrong.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadRegion } from '../src/ingest/region.js';
import { reportLines } from './crash/report.js';
import { openTrace, regionFile, simulateTrace } from './crash/trace.js';
import { liveTrial, replayTrial, type TrialOptions } from './crash/trial.js';
import { REGIONS_FOLDER } from './live/place.js';
import { machine } from './machine.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    nodes: { type: 'string', default: '3' },
    cluster: { type: 'boolean', default: false },
    standbys: { type: 'string' },
    seed: { type: 'string' },
    speed: { type: 'string' },
    trace: { type: 'string' },
    region: { type: 'string', default: 'sf' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '2000' },
    keep: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
/** A kill, what comes besides it, and the time until all has settled: about so long, seconds; and the beginning besides. */
const KILL_SECONDS = 20;
const BEGINNING_SECONDS = 60;
const SPEED = 60;
const LIVE_KILLS_SHARE = 0.2;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // What was started ends with this process.
    process.exit(1);
  });
}

const seed =
  values.seed === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : whole('seed', values.seed);
const kills = whole('kills', values.kills);
const nodes = whole('nodes', values.nodes);
const rounds = whole('rounds', values.rounds);
const on = machine();
const startedMs = performance.now();
const say = (line: string): void => {
  if (!values.json) console.log(line);
};

const folder = await mkdtemp(join(tmpdir(), 'groundswell-crash-'));
const region = await loadRegion({ name: values.region, dir: REGIONS_FOLDER });
const common: Omit<TrialOptions, 'folder' | 'kills'> = {
  region,
  regionFile: regionFile(region.name),
  seed,
  nodes,
  standbys: values.standbys === undefined ? undefined : whole('standbys', values.standbys),
  cluster: values.cluster,
  onProgress: (line) => {
    say(`  ${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  },
};
let ok = false;
try {
  say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
  const wanted = (BEGINNING_SECONDS + kills * KILL_SECONDS) * 1_000;
  const trace =
    values.trace === undefined
      ? await simulateTrace({
          region,
          folder,
          seed,
          lengthMs: wanted * factorOf(values.speed),
        })
      : await openTrace(values.trace);
  // A file is replayed so that it lasts as long as the kills do.
  const speed = values.speed ?? `${Math.min(SPEED, Math.max(1, trace.lengthMs / wanted)).toFixed(1)}x`;
  say(
    `seed ${seed}: ${nodes} nodes, ${values.cluster ? 'three servers' : 'one server'}, ${kills} kills; ${trace.what}, at ${speed}`,
  );
  const replay = await replayTrial({ ...common, folder: join(folder, 'replay'), kills, trace, speed });
  for (const line of reportLines('replay', replay, common)) say(line);
  const live =
    rounds === 0
      ? undefined
      : await liveTrial({
          ...common,
          folder: join(folder, 'live'),
          kills: Math.ceil(kills * LIVE_KILLS_SHARE),
          rounds,
          eventsPerSecond: whole('rate', values.rate),
        });
  if (live !== undefined) for (const line of reportLines('live', live, common)) say(line);
  ok = replay.faults.length === 0 && (live?.faults.length ?? 0) === 0;
  console.log(JSON.stringify({ bench: 'crash-test', machine: on, seed, nodes, kills, ok, replay, live }));
} finally {
  if (ok && !values.keep) await rm(folder, { recursive: true, force: true });
  else console.error(`the logs and rows of all processes are in ${folder}`);
  if (!ok)
    console.error(
      `again: npm run crash-test -- ${[...process.argv.slice(2), ...(values.seed === undefined ? ['--seed', seed] : [])].join(' ')}`,
    );
}
process.exitCode = ok ? 0 : 1;

function factorOf(speed: string | undefined): number {
  const factor = Number.parseFloat(speed ?? String(SPEED));
  if (!(factor > 0)) throw new Error(`--speed: "${speed}" is no factor such as 60x`);
  return factor;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: "${text}" is no whole number`);
  return value;
}
