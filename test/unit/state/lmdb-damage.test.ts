/** Hunts damaged snapshot files that end the process instead of giving an error (P5: they are rebuilt). */
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { actorId } from '../../../src/core/ids.js';
import { LmdbStore } from '../../../src/state/lmdb/lmdb-store.js';

const identity = { region: 'x', partitions: 1 };
let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'groundswell-test-'));
  file = join(folder, 'data.mdb');
  const store = await LmdbStore.open(folder, identity);
  const changes = new Map(
    Array.from({ length: 2_000 }, (_, i) => {
      const id = actorId('driver', `d-${i}`);
      return [id, { id, bytes: new Uint8Array(100), timed: false }];
    }),
  );
  await store.write([{ partition: 0, journalSeq: 1, control: new Uint8Array(1), changes }]);
  await store.close();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const corrupt = { code: 'GS_DATA_CORRUPT', exitCode: 1 };

describe('a damaged LMDB file', () => {
  it('that is something else is named', async () => {
    for (const content of ['text', Buffer.alloc(100_000), Buffer.alloc(100_000, 0x5a)]) {
      await writeFile(file, content);
      await expect(LmdbStore.open(folder, identity)).rejects.toMatchObject(corrupt);
    }
  });

  it('that was cut off is named, wherever it was cut', async () => {
    const whole = await readFile(file);
    for (const size of [
      10,
      100,
      4_096,
      5_000,
      8_192,
      Math.floor(whole.byteLength / 2),
      whole.byteLength - 4_096,
    ]) {
      await writeFile(file, whole);
      await truncate(file, size);
      await expect(LmdbStore.open(folder, identity), `${size} bytes`).rejects.toMatchObject(corrupt);
    }
  });

  it('a sound one opens again', async () => {
    const store = await LmdbStore.open(folder, identity);
    expect(store.source(0).get(actorId('driver', 'd-7'))).toHaveLength(100);
    await store.close();
  });

  it('an empty one is a new one', async () => {
    await writeFile(file, '');
    await (await LmdbStore.open(folder, identity)).close();
  });
});
