// Nodes that find each other over a real nats-server, in real time. Hunts: what the memory of the unit tests hides: the
// server's whole seconds, answers that overtake what is read, readers and connections that come back one after the other.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { bucketStream, ensureLeases } from '../../src/log/nats/lease-bucket.js';
import { NatsLeases } from '../../src/log/nats/nats-leases.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { superviseServer, type SupervisedServer } from '../../src/log/nats/server/supervised.js';
import { Subjects } from '../../src/log/subjects.js';
import { Membership } from '../../src/node/membership/membership.js';
import { recordOf } from '../unit/node/membership/records.js';
import { until } from '../support/until.js';

const TTL_MS = 2_000;
let dataDir: string;
let server: SupervisedServer;
let regions = 0;
let subjects: Subjects;
const nodes: Node[] = [];

beforeAll(async () => {
  // Never GitHub from a test.
  const { path: binary } = await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) });
  dataDir = mkdtempSync(join(tmpdir(), 'gs-membership-'));
  server = await superviseServer({ dataDir, binary, clock: systemClock });
}, 180_000);
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A node's membership on a connection of its own. */
class Node {
  /** What it saw of the others, whenever something changed. */
  readonly seen: string[] = [];

  private constructor(
    readonly connection: NatsConnection,
    readonly membership: Membership,
  ) {}

  static async start(id: string, instance = `${id}-1`): Promise<Node> {
    const { connection, jsm } = await connectNats(server, id);
    await ensureLeases(jsm, subjects);
    const node: Node = new Node(
      connection,
      new Membership({
        leases: new NatsLeases(connection, jsm, { bucket: subjects.nodesBucket }),
        clock: systemClock,
        self: recordOf(id, { instance }),
        onChange: () => node.seen.push(node.alive),
      }),
    );
    nodes.push(node);
    await node.membership.start();
    return node;
  }

  static async region(...ids: string[]): Promise<Node[]> {
    subjects = new Subjects(`m${++regions}`);
    const started: Node[] = [];
    for (const id of ids) started.push(await Node.start(id));
    for (const { membership } of started)
      await until('all know each other', () => membership.members().length === ids.length);
    return started;
  }

  /** Ids of the others that are alive, in one word. */
  get alive(): string {
    const others = this.membership.members().filter(({ self, alive }) => alive && !self);
    return others
      .map(({ id }) => id)
      .sort()
      .join('');
  }

  async stop(): Promise<void> {
    await this.membership.stop();
    await this.connection.close();
  }
}

describe('nodes over a real server', () => {
  it('hear at once who came, what is new, and who left', async () => {
    const [a, b] = await Node.region('a', 'b');
    const c = await Node.start('c');
    expect(c.alive).toBe('ab');
    await until('the others know', () => a!.alive === 'bc' && b!.alive === 'ac', { deadlineMs: 1_000 });
    c.membership.update({ owned: [1, 2, 3], draining: true });
    const told = (): boolean =>
      a!.membership.members().some(({ id, owned }) => id === 'c' && owned.length === 3);
    await until('what is new is told', told, { deadlineMs: 1_000 });
    await c.stop();
    await until('the others know', () => a!.alive === 'b' && b!.alive === 'a', { deadlineMs: 1_000 });
  });

  it('miss one that dies no later than its lease, and it is found again', async () => {
    const [a, b, c] = await Node.region('a', 'b', 'c');
    const diedMs = systemClock.monotonic();
    // Nothing of it gets out any more, and nobody says goodbye.
    await c!.connection.close();
    await until('the others know', () => a!.alive === 'b' && b!.alive === 'a', { pollMs: 5 });
    const tookMs = systemClock.monotonic() - diedMs;
    expect(tookMs).toBeGreaterThan(TTL_MS / 2);
    expect(tookMs).toBeLessThan(TTL_MS + 1_000);
    await until('it knows too', () => !c!.membership.fresh, { pollMs: 5 });
    await Node.start('c', 'c-2');
    await until('the others know', () => a!.alive === 'bc' && b!.alive === 'ac');
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)('take nobody for dead when the server gets %s', async (signal) => {
    const started = await Node.region('a', 'b', 'c');
    const { pid } = server;
    const seen = started.map((node) => node.seen.length);
    process.kill(pid, signal);
    await until('nobody is fresh', () => started.every(({ membership }) => !membership.fresh), {
      deadlineMs: signal === 'SIGSTOP' ? 10_000 : 3_000,
      pollMs: 5,
    }).catch((error: unknown) => {
      // A server that is killed may be back before that.
      if (signal === 'SIGSTOP') throw error;
    });
    if (signal === 'SIGSTOP') process.kill(pid, 'SIGCONT');
    await until('all are fresh again', () => started.every(({ membership }) => membership.fresh), {
      pollMs: 5,
    });
    const calmMs = systemClock.monotonic() + TTL_MS + 1_000;
    await until('time to live is over', () => systemClock.monotonic() > calmMs, { pollMs: 20 });
    expect(started.map((node) => node.alive)).toEqual(['bc', 'ac', 'ab']);
    const missed = started.flatMap((node, i) => node.seen.slice(seen[i]).filter((alive) => alive.length < 2));
    expect(missed).toEqual([]);
    expect(started.map(({ membership }) => membership.failure)).toEqual([undefined, undefined, undefined]);
  });

  it('two under one id: the first one says so', async () => {
    const [a] = await Node.region('a', 'b');
    const copy = await Node.start('a', 'a-copy');
    await until('it is said', () => a!.membership.conflict !== undefined, { pollMs: 5 });
    expect(a!.membership.conflict).toMatchObject({ code: 'GS_NODE_ID' });
    await a!.stop();
    await until('the other renews', () => copy.membership.fresh);
    expect(copy.alive).toBe('b');
  });

  it('a bucket that is deleted under them ends them, with GS_STREAM_LOST', async () => {
    const [a] = await Node.region('a');
    const { jsm, connection } = await connectNats(server, 'test');
    await jsm.streams.delete(bucketStream(subjects.nodesBucket));
    await connection.close();
    await until('it is said', () => a!.membership.failure !== undefined, { pollMs: 5 });
    expect(a!.membership.failure).toMatchObject({ code: 'GS_STREAM_LOST' });
    expect(a!.membership.fresh).toBe(false);
  });
});
