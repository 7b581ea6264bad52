/**
 * The server under bytes that nobody meant well: 20,000 requests from a seed, whole and damaged, pipelined and broken off, at
 * every route there is. Hunts a request that makes it fail (5xx), hang, stop or hold memory.
 *
 * A failure names its seed; `FUZZ_SEED=<seed> npx vitest run test/integration/http-fuzz.test.ts` repeats it.
 */
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MemoryLog } from '../../src/log/memory/memory-log.js';
import { Engine } from '../support/engine.js';
import { MINUTE, smallCity, T0 } from '../support/market.js';
import { until } from '../support/until.js';
import { region, startNode, subjects, type TestNode } from '../unit/serve/http/node.js';
import { RequestMill, type Shot } from './http-request-mill.js';

const REQUESTS = 20_000;
const AT_ONCE = 32;
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_260_302);
const HANG_MS = 30_000;
const MIB = 1024 * 1024;

let node: TestNode;

beforeAll(async () => {
  // A real market's rows, so that the routes have something to say.
  const log = new MemoryLog();
  const engine = await Engine.start({ log, partitions: region.partitions });
  const producer = engine.producer();
  await producer.send(smallCity());
  await producer.producer.advanceTo(T0 + 6 * MINUTE);
  await engine.results(T0 + 5 * MINUTE);
  await engine.stop();
  node = await startNode({ log });
  await until('the view has caught up', () => node.view.caughtUp);
  const encoder = new TextEncoder();
  for (let i = 0; i < 200; i++) {
    const body = encoder.encode(JSON.stringify({ reason: 'malformed', message: 'x', ts: T0 + i, body: 'x' }));
    await node.side.append([{ subject: subjects.side('dead', 'unknown'), payload: body }]);
  }
});
afterAll(() => node.close());

/** Fires one shot and gives the statuses that came back. An event stream is left as soon as it begins. */
function fire({ bytes, requests, whole, cutAt }: Shot): Promise<number[]> {
  const { hostname, port } = new URL(node.url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const statuses: number[] = [];
    let tail = '';
    // What is incomplete makes the server wait for the rest: say that none comes, then leave.
    const idle = whole ? undefined : setTimeout(() => socket.end(), 60);
    const late = setTimeout(() => {
      reject(
        new Error(`no end within ${HANG_MS} ms: ${JSON.stringify(bytes.toString('latin1').slice(0, 2_000))}`),
      );
      socket.destroy();
    }, HANG_MS);
    socket.on('connect', () => {
      if (cutAt === undefined) socket.write(bytes);
      else socket.write(bytes.subarray(0, cutAt), () => socket.destroy());
    });
    socket.on('data', (chunk: Buffer) => {
      const text = tail + chunk.toString('latin1');
      for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) statuses.push(Number(status));
      if (text.includes('text/event-stream')) socket.destroy();
      tail = text.slice(-11).replaceAll('HTTP/', '');
    });
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ECONNREFUSED') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(idle);
      clearTimeout(late);
      if (statuses.length > 2 * requests + 2)
        reject(new Error(`${statuses.length} answers to ${requests} requests`));
      else resolve(statuses);
    });
  });
}

/** Bytes of the heap once everything that nobody needs is gone. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}

it(
  `20,000 requests at random (seed ${SEED}): no 5xx, and the node is as well as before`,
  { timeout: 300_000 },
  async () => {
    const mill = new RequestMill(SEED);
    const byStatus = new Map<number, number>();
    const failed: string[] = [];
    let fired = 0;
    const before = heapBytes();
    const startedMs = performance.now();
    const startedCpu = process.cpuUsage();
    const worker = async (): Promise<void> => {
      while (fired < REQUESTS) {
        const shot = mill.shot();
        fired += shot.requests;
        for (const status of await fire(shot)) {
          byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
          if (status >= 500)
            failed.push(`${status}: ${JSON.stringify(shot.bytes.toString('latin1').slice(0, 2_000))}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const seconds = (performance.now() - startedMs) / 1_000;
    const { user, system } = process.cpuUsage(startedCpu);

    expect(failed).toEqual([]);
    // Of the processor: others may be using the machine, too.
    expect((user + system) / 1e6).toBeLessThan(60);
    // It has met what it should: what is fine, what is wrong, what is not there, and what is no HTTP.
    for (const status of [200, 400, 404, 405, 413, 415, 421])
      expect(byStatus.get(status) ?? 0, `status ${status}`).toBeGreaterThan(0);
    expect(byStatus.get(200), JSON.stringify([...byStatus])).toBeGreaterThan(REQUESTS / 5);

    expect(await (await fetch(`${node.url}/healthz`)).json()).toEqual({ status: 'alive' });
    const subscribers = async (): Promise<number> => {
      const status = (await (await fetch(`${node.url}/v1/status`)).json()) as {
        http: { subscribers: number };
      };
      return status.http.subscribers;
    };
    await until('all event streams are closed', async () => (await subscribers()) === 0);
    expect(node.producer.queued).toBe(0);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    // Nothing of the room for bodies is lost: the largest one is still taken, and many of them.
    const large = `${' '.repeat(8 * MIB - 1)}\n`;
    for (let i = 0; i < 36; i++) {
      const response = await fetch(`${node.url}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: large,
      });
      expect(response.status).toBe(200);
      await response.text();
    }
    // The log in memory has what was accepted; beyond that nothing may stay.
    let stored = 0;
    for (const event of await node.events()) stored += JSON.stringify(event).length;
    expect(heapBytes() - before - stored).toBeLessThan(64 * MIB);
    console.log(
      `    ${fired} requests in ${seconds.toFixed(1)} s:`,
      Object.fromEntries([...byStatus].sort()),
    );
  },
);
