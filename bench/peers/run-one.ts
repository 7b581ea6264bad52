/**
 * One run of one peer, in this process: `run-one.js NAME EVENTS DRIVERS SEED`. The last line of what it prints is JSON, an
 * `Outcome`.
 */
import { hashOf, PeerUnavailable } from './job.js';
import { PEERS } from './index.js';
import type { Outcome } from './outcome.js';

// Ends as a program ends, not as a signal ends it: so what it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

const [name, events, drivers, seed] = process.argv.slice(2);
const peer = PEERS.find((known) => known.name === name);
if (peer === undefined) throw new Error(`no peer is called ${name ?? 'nothing'}`);
let outcome: Outcome;
try {
  const run = await peer.run({ events: Number(events), drivers: Number(drivers), seed: Number(seed) });
  outcome = {
    kind: 'ran',
    events: run.events,
    seconds: run.seconds,
    ...(run.rows === undefined ? {} : { rows: run.rows.length, rowsHash: hashOf(run.rows) }),
  };
} catch (error) {
  if (!(error instanceof PeerUnavailable)) throw error;
  outcome = { kind: 'unavailable', why: error.message };
}
console.log(JSON.stringify(outcome));
