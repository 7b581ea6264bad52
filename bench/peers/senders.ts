/** How the workload gets to the peers that do not read Groundswell's frames. Each resolves when all of it has been taken. */
import { connect, type ClientHttp2Session } from 'node:http2';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { openConnection, type NatsTarget } from '../../src/log/nats/connect.js';
import type { CanonicalSize } from '../canonical.js';
import { canonicalMarket } from '../market.js';
import { CanonicalWorkload } from '../workload.js';
import type { JobPing } from './job.js';

/** A machine that is busy otherwise is no reason to send or deliver anything again. */
export const PATIENCE_MS = 120_000;

/** Messages, packed messages and calls that were sent and not yet answered. */
const MESSAGES_MAX = 1_000;
const PACKED_MAX = 16;
const CALLS_MAX = 256;
const PINGS_PER_MESSAGE = 512;

/** What a sender is told; it may be told so in another process. */
export type Sending = { readonly size: CanonicalSize } & (
  | { readonly how: 'messages' | 'packed'; readonly target: NatsTarget }
  | { readonly how: 'calls'; readonly ingress: string }
);

export async function send(sending: Sending): Promise<void> {
  if (sending.how === 'calls') return sendCalls(sending.ingress, sending.size);
  const connection = await openConnection(sending.target, 'groundswell peer sender');
  try {
    const js = jetstream(connection, { timeout: PATIENCE_MS });
    if (sending.how === 'messages') await sendMessages(js, sending.size);
    else await sendPacked(js, sending.size);
  } finally {
    await connection.close();
  }
}

/** One message per ping, as JSON. */
async function sendMessages(js: JetStreamClient, size: CanonicalSize): Promise<void> {
  const inFlight = new InFlight(MESSAGES_MAX);
  for (const { driverId, lat, lon, ts, status, cell } of pings(size)) {
    const ping: JobPing = { driverId, lat, lon, ts, status, cell };
    await inFlight.add(() => js.publish('pings', JSON.stringify(ping)));
  }
  await inFlight.done();
}

/** Lists of pings, each a list of its fields, and an empty one behind them. */
async function sendPacked(js: JetStreamClient, size: CanonicalSize): Promise<void> {
  const inFlight = new InFlight(PACKED_MAX);
  let packed: unknown[] = [];
  const sendOff = (): Promise<void> => {
    const payload = JSON.stringify(packed);
    packed = [];
    return inFlight.add(() => js.publish('pings', payload));
  };
  for (const { driverId, lat, lon, ts, status, cell } of pings(size)) {
    packed.push([driverId, lat, lon, ts, status, cell]);
    if (packed.length === PINGS_PER_MESSAGE) await sendOff();
  }
  if (packed.length > 0) await sendOff();
  await sendOff();
  await inFlight.done();
}

/** A call of a driver's handler per ping, over HTTP/2; the server has taken it for good when it answers. */
async function sendCalls(ingress: string, size: CanonicalSize): Promise<void> {
  const session = connect(ingress);
  try {
    // The workload names a driver once in so many pings as there are drivers: no more, so that none is overtaken by its own.
    const inFlight = new InFlight(Math.min(CALLS_MAX, size.drivers));
    for (const { driverId, lat, lon, ts, status, cell } of pings(size)) {
      const ping: JobPing = { driverId, lat, lon, ts, status, cell };
      await inFlight.add(() => callOnce(session, `/driver/${driverId}/ping/send`, ping));
    }
    await inFlight.done();
  } finally {
    session.destroy();
  }
}

function callOnce(session: ClientHttp2Session, path: string, body: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/json' });
    let status = 0;
    let text = '';
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => (text += chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      if (status >= 200 && status < 300) resolve();
      else reject(new Error(`a call was refused: ${status} ${text}`));
    });
    stream.end(JSON.stringify(body));
  });
}

function* pings(size: CanonicalSize): Generator<JobPing> {
  const { cover } = canonicalMarket({}).config;
  for (const tick of new CanonicalWorkload({ ...size, cover }).ticks()) yield* tick;
}

/** So many at the same time, oldest first. */
class InFlight {
  readonly #slots: Promise<unknown>[] = [];
  readonly #max: number;
  #next = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async add(start: () => Promise<unknown>): Promise<void> {
    await this.#slots[this.#next];
    const started = start();
    // Heard of when its turn comes.
    started.catch(() => undefined);
    this.#slots[this.#next] = started;
    this.#next = (this.#next + 1) % this.#max;
  }

  async done(): Promise<void> {
    await Promise.all(this.#slots);
  }
}
