/**
 * Groundswell beside other ways to do the same job on the same workload, one after another, each in a process of its own.
 * What each does and what it promises: bench/peers/README.md.
 *
 *   npm run bench:peers -- [--events N] [--drivers N] [--runs N] [--only map,naive] [--json]
 *
 * The last line is JSON; `--json` prints nothing else to standard output.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from './compare/command.js';
import { machine } from './machine.js';
import { checkedRows } from './peers/check.js';
import { PEERS } from './peers/index.js';
import { hashOf } from './peers/job.js';
import { expectRows, standingsOf, type Outcome } from './peers/outcome.js';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2400000' },
    drivers: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const events = whole('events', values.events);
const drivers = whole('drivers', values.drivers);
const seed = whole('seed', values.seed);
const runs = whole('runs', values.runs);
const peers = PEERS.filter(({ name }) => values.only === undefined || values.only.split(',').includes(name));
const unknown = values.only?.split(',').filter((name) => !PEERS.some((peer) => peer.name === name)) ?? [];
if (unknown.length > 0)
  throw new Error(
    `--only: no peer is called ${unknown.join(', ')}; there are ${PEERS.map(({ name }) => name).join(', ')}`,
  );

const broken = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    broken.abort(new Error(`broken off by ${signal}`));
  });

const say = (line = ''): void => {
  (values.json ? console.error : console.log)(line);
};
const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const hashes = new Map<number, string>();
const expectedHash = (size: number): string => {
  let hash = hashes.get(size);
  if (hash === undefined) hashes.set(size, (hash = hashOf(checkedRows({ events: size, drivers, seed }))));
  return hash;
};

const on = machine();
say(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
say(`${count(drivers)} drivers, ${count(events)} pings`);
const rounds: Record<string, Outcome[]> = Object.fromEntries(peers.map(({ name }) => [name, []]));
// All folders of the peers, so that one that is broken off leaves nothing.
const temporary = await mkdtemp(join(tmpdir(), 'groundswell-peers-'));
try {
  for (let round = 1; round <= runs; round++)
    for (const peer of peers) {
      const outcome = await runOne(peer.name, Math.min(events, peer.eventsMax));
      expectRows(peer.name, outcome, expectedHash);
      rounds[peer.name]!.push(outcome);
      say(
        outcome.kind === 'ran'
          ? `round ${round}: ${peer.name} ${count(outcome.events / outcome.seconds)} events/s, load ${machine().loadAtStart}`
          : `round ${round}: ${peer.name} left out: ${outcome.why}`,
      );
    }
} finally {
  await rm(temporary, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

const standings = standingsOf(rounds);
say();
say(
  `  ${'peer'.padEnd(18)}${'events'.padStart(12)}${'events/s'.padStart(12)}${'of Groundswell'.padStart(18)}`,
);
for (const { name, events, eventsPerSecond, ofGroundswell } of standings) {
  const share = ofGroundswell === undefined ? '' : ofGroundswell.median.toPrecision(3);
  say(
    `  ${name.padEnd(18)}${count(events).padStart(12)}${count(eventsPerSecond).padStart(12)}${share.padStart(18)}`,
  );
}
say();
for (const { name, what, guarantees } of peers) say(`  ${name}: ${what}\n    ${guarantees}`);
console.log(
  JSON.stringify({ bench: 'peers', machine: on, size: { events, drivers, seed }, standings, rounds }),
);

/** A fresh process for each run: none finds code warmed, or a heap filled, by another. */
async function runOne(name: string, events: number): Promise<Outcome> {
  const script = fileURLToPath(new URL('./peers/run-one.js', import.meta.url));
  const ended = await run(
    process.execPath,
    [...process.execArgv, script, name, String(events), String(drivers), String(seed)],
    { cwd: process.cwd(), env: { ...process.env, TMPDIR: temporary }, signal: broken.signal },
  );
  if (ended.code !== 0) throw new Error(`${name} failed:\n${ended.stdout}${ended.stderr}`);
  return JSON.parse(ended.stdout.trim().split('\n').at(-1)!) as Outcome;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: "${text}" is no whole number above 0`);
  return value;
}
