// Hunts, beyond the contract: memory that grows with the object, chunks left behind by a process that died, a bucket that
// other tools cannot read, and a server's short absence taken for a failure, or for success.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { connectNats } from '../../src/log/nats/connect.js';
import { NatsObjects } from '../../src/log/nats/nats-objects.js';
import { startEmbeddedServer, type EmbeddedServer } from '../../src/log/nats/server/embedded.js';
import { locateNatsServer, WAYS } from '../../src/log/nats/server/locate.js';
import { releaseWay } from '../../src/log/nats/server/release.js';
import { Subjects } from '../../src/log/subjects.js';
import { bytesOf, numbered, objectsContract, pieces } from './objects.contract.js';

let binary: string;
let dataDir: string;
let server: EmbeddedServer;
let connection: NatsConnection;
let jsm: JetStreamManager;
let buckets = 0;

const target = (): { url: string; user: string; password: string } => server;
const freshBucket = (): string => new Subjects(`r${++buckets}`).baseBucket;
const open = (bucket: string, more: { patienceMs?: number } = {}): Promise<NatsObjects> =>
  NatsObjects.open({ connection, jsm, bucket, ...more });

beforeAll(async () => {
  // Never GitHub from a test.
  binary = (await locateNatsServer({ ways: WAYS.filter((way) => way !== releaseWay) })).path;
  dataDir = mkdtempSync(join(tmpdir(), 'gs-nats-objects-'));
  server = await startEmbeddedServer({ dataDir, binary, clock: systemClock });
  ({ connection, jsm } = await connectNats(target(), 'test'));
}, 180_000);
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const chunksIn = async (bucket: string): Promise<number> => {
  const { state } = await jsm.streams.info(`OBJ_${bucket}`, { subjects_filter: `$O.${bucket}.C.>` });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
};

objectsContract('NatsObjects', async () => {
  const bucket = freshBucket();
  const objects = await open(bucket);
  return {
    objects,
    // The second chunk goes, another one comes last.
    damage: async (name) => {
      const subject = `$O.${bucket}.M.${Buffer.from(name).toString('base64url').padEnd(4, '=')}`;
      const record = await jsm.streams.getMessage(`OBJ_${bucket}`, { last_by_subj: subject });
      const { nuid } = record!.json<{ nuid: string }>();
      const query = { seq: 2, next_by_subj: `$O.${bucket}.C.${nuid}` };
      const second = await jsm.streams.getMessage(`OBJ_${bucket}`, query);
      await jsm.streams.deleteMessage(`OBJ_${bucket}`, second!.seq);
      await connection.request(`$O.${bucket}.C.${nuid}`, second!.data);
    },
  };
});

describe('NatsObjects', () => {
  it('is a bucket as other tools of NATS write and read it', async () => {
    const bucket = freshBucket();
    const objects = await open(bucket);
    const body = numbered(300_000);
    await objects.put('000/1-1-abc', pieces(body));
    const { config } = await jsm.streams.info(`OBJ_${bucket}`);
    expect(config).toMatchObject({
      subjects: [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`],
      discard: 'new',
      allow_rollup_hdrs: true,
      allow_direct: true,
      num_replicas: 1,
    });
    const record = await jsm.streams.getMessage(`OBJ_${bucket}`, {
      last_by_subj: `$O.${bucket}.M.MDAwLzEtMS1hYmM=`,
    });
    expect(record!.json()).toMatchObject({
      name: '000/1-1-abc',
      bucket,
      size: 300_000,
      chunks: 3,
      digest: `SHA-256=${createHash('sha256').update(body).digest('base64url')}=`,
      options: { max_chunk_size: 131_072 },
    });
  });

  it('does not show what another tool has removed, and takes its name again', async () => {
    const bucket = freshBucket();
    const objects = await open(bucket);
    const note = { name: 'x', bucket, nuid: 'n', size: 0, chunks: 0, digest: '', deleted: true };
    await connection.request(`$O.${bucket}.M.eA==`, JSON.stringify(note));
    expect(await objects.list()).toEqual([]);
    expect(await objects.get('x')).toBeUndefined();
    await objects.put('x', pieces(numbered(10)));
    expect(await bytesOf(await objects.get('x'))).toHaveLength(10);
  });

  it('a failed put leaves no chunks; what a process that died has left is swept up, and nothing else', async () => {
    const bucket = freshBucket();
    const objects = await open(bucket);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield numbered(2_000_000);
      await Promise.resolve();
      throw new Error('broke off');
    }
    await expect(objects.put('x', broken())).rejects.toThrow('broke off');
    expect(await chunksIn(bucket)).toBe(0);
    await objects.put('kept', pieces(numbered(200_000)));
    await connection.request(`$O.${bucket}.C.died`, numbered(1_000));
    expect(await objects.sweep(3_600_000)).toBe(0);
    expect(await chunksIn(bucket)).toBe(3);
    expect(await objects.sweep(0)).toBe(1);
    expect(await chunksIn(bucket)).toBe(2);
    expect(await bytesOf(await objects.get('kept'))).toHaveLength(200_000);
    await objects.remove('kept');
    expect(await chunksIn(bucket)).toBe(0);
  });

  it('P8 keeps a few chunks in memory, not the object', async () => {
    const objects = await open(freshBucket());
    const piece = numbered(64 * 1024);
    const count = 1_600;
    let mostBytes = 0;
    const look = (): void => {
      mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
    };
    async function* much(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < count; i++) {
        look();
        yield await Promise.resolve(piece);
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    await objects.put('much', much());
    let bytes = 0;
    for await (const chunk of (await objects.get('much'))!) {
      bytes += chunk.byteLength;
      look();
    }
    expect(bytes).toBe(count * piece.byteLength);
    expect(mostBytes - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('waits for a server that is away for a moment: the object is whole, and there once', async () => {
    const bucket = freshBucket();
    const objects = await open(bucket);
    const { port } = new URL(server.url);
    let restarted = false;
    async function* interrupted(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 40; i++) {
        if (i === 20) {
          process.kill(server.pid, 'SIGKILL');
          await server.exited.catch(() => undefined);
          const identity = { port: Number(port), password: server.password };
          server = await startEmbeddedServer({
            dataDir,
            binary,
            clock: systemClock,
            identity: { ...identity, producerPassword: server.producer.password },
          });
          restarted = true;
        }
        yield numbered(100_000);
      }
    }
    const { bytes } = await objects.put('x', interrupted());
    expect({ restarted, bytes }).toEqual({ restarted: true, bytes: 4_000_000 });
    const whole = Buffer.concat(Array.from({ length: 40 }, () => numbered(100_000)));
    expect((await bytesOf(await objects.get('x')))!.equals(whole)).toBe(true);
    expect(await objects.list()).toHaveLength(1);
  }, 60_000);

  it('says GS_LOG when the bucket is gone', async () => {
    const bucket = freshBucket();
    const objects = await open(bucket, { patienceMs: 300 });
    await jsm.streams.delete(`OBJ_${bucket}`);
    await expect(objects.put('x', pieces(numbered(10)))).rejects.toMatchObject({
      code: expect.stringMatching(/^GS_(LOG|STREAM_LOST)$/) as string,
    });
  }, 60_000);
});
