// Hunts, beyond the contract: a watcher who sleeps on after the server was away, a write that hangs with it, a bucket that
// was made otherwise and would never let a dead node's lease run out.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { connectNats, STREAM_FORMAT } from '../../src/log/nats/connect.js';
import { bucketStream, bucketSubject, ensureLeases } from '../../src/log/nats/lease-bucket.js';
import { NatsLeases } from '../../src/log/nats/nats-leases.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { superviseServer, type SupervisedServer } from '../../src/log/nats/server/supervised.js';
import { Subjects } from '../../src/log/subjects.js';
import { turns, until } from '../support/until.js';
import { Heard, leasesContract } from './leases.contract.js';

let binary: string;
let dataDir: string;
let server: SupervisedServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let regions = 0;

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
  dataDir = mkdtempSync(join(tmpdir(), 'gs-nats-leases-'));
  server = await superviseServer({ dataDir, binary, clock: systemClock });
  ({ connection, jsm } = await connectNats(server, 'test'));
}, 180_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const value = new Uint8Array([120]);
const TTL_MS = 2_000;

async function freshBucket(): Promise<{ subjects: Subjects; bucket: string; stream: string }> {
  const subjects = new Subjects(`r${++regions}`);
  await ensureLeases(jsm, subjects);
  return { subjects, bucket: subjects.nodesBucket, stream: bucketStream(subjects.nodesBucket) };
}

const clientOf = (bucket: string): NatsLeases => new NatsLeases(connection, jsm, { bucket });

leasesContract('NatsLeases', async () => {
  const { bucket } = await freshBucket();
  return {
    client: () => clientOf(bucket),
    settle: () => turns(1),
    now: () => systemClock.monotonic(),
    until: (what, condition) => until(what, condition, { deadlineMs: 20_000, pollMs: 5 }),
  };
});

describe('NatsLeases', () => {
  it('goes on, and is told what it missed, when the server is killed and comes back', async () => {
    const { bucket } = await freshBucket();
    const leases = clientOf(bucket);
    const heard = await Heard.of(leases);
    await leases.write({ name: 'runs-out', value, ttlMs: TTL_MS });
    await leases.write({ name: 'stays', value, ttlMs: 600_000 });
    await until('both are told', () => heard.lines.length === 2);
    process.kill(server.pid, 'SIGKILL');
    await until(
      'a write goes through again',
      async () => (await leases.write({ name: 'after', value, ttlMs: 600_000 })).outcome === 'written',
      { pollMs: 20 },
    );
    await until('what ran out meanwhile is told', () => heard.has('runs-out gone') && heard.has('after=x'));
    expect(heard.has('stays gone')).toBe(false);
    expect((await leases.list()).map(({ name }) => name).sort()).toEqual(['after', 'stays']);
    await heard.close();
  });

  it('reads on when its consumer is deleted under it', async () => {
    const { bucket, stream } = await freshBucket();
    const leases = clientOf(bucket);
    const heard = await Heard.of(leases);
    for (let i = 0; i < 3; i++) {
      for await (const { name } of jsm.consumers.list(stream)) await jsm.consumers.delete(stream, name);
      await leases.write({ name: `n${i}`, value, ttlMs: TTL_MS });
      await until('the write is told', () => heard.has(`n${i}=x`));
    }
    await leases.remove('n0');
    await until('the going is told', () => heard.has('n0 gone'));
    await heard.close();
  });

  it('a write ends as unknown within its time when the server hangs, and at once when it is away', async () => {
    const { bucket } = await freshBucket();
    const leases = new NatsLeases(connection, jsm, { bucket, writeTimeoutMs: 300 });
    const startedMs = systemClock.monotonic();
    process.kill(server.pid, 'SIGSTOP');
    try {
      expect(await leases.write({ name: 'a', value, ttlMs: TTL_MS })).toMatchObject({ outcome: 'unknown' });
      await expect(leases.remove('a')).rejects.toMatchObject({ code: 'GS_LOG' });
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    expect(systemClock.monotonic() - startedMs).toBeLessThan(2_000);
    const own = await connectNats(server, 'test');
    const closed = new NatsLeases(own.connection, own.jsm, { bucket });
    await own.connection.close();
    expect(await closed.write({ name: 'a', value, ttlMs: TTL_MS })).toMatchObject({ outcome: 'unknown' });
    await expect(closed.remove('a')).rejects.toMatchObject({ code: 'GS_LOG' });
    await until(
      'the server works again',
      async () => (await leases.write({ name: 'b', value, ttlMs: TTL_MS })).outcome === 'written',
      { pollMs: 20 },
    );
  });

  it('a bucket that is deleted is said once, as GS_STREAM_LOST, and never made anew', async () => {
    const { bucket, stream } = await freshBucket();
    const leases = clientOf(bucket);
    const failures: Error[] = [];
    const watch = await leases.watch(
      () => undefined,
      (error) => failures.push(error),
    );
    await jsm.streams.delete(stream);
    await until('the failure is told', () => failures.length > 0);
    expect(failures).toEqual([expect.objectContaining({ code: 'GS_STREAM_LOST' })]);
    expect(await leases.write({ name: 'a', value, ttlMs: TTL_MS })).toMatchObject({ outcome: 'unknown' });
    await expect(leases.list()).rejects.toMatchObject({ code: 'GS_STREAM_LOST' });
    await expect(jsm.streams.info(stream)).rejects.toThrow(/not found/);
    await watch.close();
  });

  it('leaves no consumer behind when a watch is closed', async () => {
    const { bucket, stream } = await freshBucket();
    const watch = await clientOf(bucket).watch(() => undefined);
    expect((await jsm.streams.info(stream)).state.consumer_count).toBe(1);
    await watch.close();
    expect((await jsm.streams.info(stream)).state.consumer_count).toBe(0);
  });

  it('any key-value client reads what it writes: given up is DEL, and a value is the last of its subject', async () => {
    const { bucket, stream } = await freshBucket();
    const leases = clientOf(bucket);
    for (let i = 0; i < 5; i++) await leases.write({ name: 'a', value, ttlMs: TTL_MS });
    expect((await jsm.streams.info(stream)).state.messages).toBe(1);
    await leases.remove('a');
    const last = await jsm.streams.getMessage(stream, { last_by_subj: bucketSubject(bucket, 'a') });
    expect(last?.header.get('KV-Operation')).toBe('DEL');
  });

  it('P8 names that are gone are not kept for ever: their markers run out too', async () => {
    const { bucket, stream } = await freshBucket();
    await clientOf(bucket).remove('a');
    const last = await jsm.streams.getMessage(stream, { last_by_subj: bucketSubject(bucket, 'a') });
    expect(last?.header.get('Nats-TTL')).toBe('86400s');
    expect((await jsm.streams.info(stream)).config.subject_delete_marker_ttl).toBe(nanos(86_400_000));
  });
});

describe('ensureLeases', () => {
  it('a second start finds the bucket as it is', async () => {
    const { subjects, stream } = await freshBucket();
    await clientOf(subjects.nodesBucket).write({ name: 'a', value, ttlMs: 600_000 });
    await ensureLeases(jsm, subjects, { replicas: 1 });
    const { config, state } = await jsm.streams.info(stream);
    expect(config).toMatchObject({ max_msgs_per_subject: 1, allow_msg_ttl: true, storage: 'file' });
    expect(state.messages).toBe(1);
  });

  it.each([
    ['GS_STREAM_CONFIG', {}],
    ['GS_DATA_NEWER', { metadata: { 'groundswell.format': '99' } }],
    ['GS_NATS_OLD', { metadata: { 'groundswell.format': String(STREAM_FORMAT) } }],
    ['GS_NATS_OLD', { metadata: { 'groundswell.format': String(STREAM_FORMAT) }, allow_msg_ttl: true }],
    [
      'GS_STREAM_CONFIG',
      {
        metadata: { 'groundswell.format': String(STREAM_FORMAT) },
        allow_msg_ttl: true,
        subject_delete_marker_ttl: nanos(1_000),
        allow_rollup_hdrs: true,
      },
    ],
  ])('refuses with %s a bucket that was made with %j', async (code, made) => {
    const { nodesBucket } = new Subjects(`r${++regions}`);
    await jsm.streams.add({
      name: bucketStream(nodesBucket),
      subjects: [bucketSubject(nodesBucket, '>')],
      ...made,
    });
    await expect(ensureLeases(jsm, new Subjects(`r${regions}`))).rejects.toMatchObject({ code });
  });

  it('more copies than there are servers are refused, with the cause', async () => {
    const subjects = new Subjects(`r${++regions}`);
    await expect(ensureLeases(jsm, subjects, { replicas: 3 })).rejects.toMatchObject({
      code: expect.stringMatching(/GS_STREAM_CONFIG|GS_LOG/) as string,
      message: expect.stringContaining(bucketStream(subjects.nodesBucket)) as string,
    });
  });
});
