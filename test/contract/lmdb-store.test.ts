// Hunts, beyond the contract: a snapshot that does not outlive its process, and one used for another region's actors.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GroundswellError } from '../../src/core/errors.js';
import { actorId } from '../../src/core/ids.js';
import { LmdbStore } from '../../src/state/lmdb/lmdb-store.js';
import { STORE_FORMAT, type StoreIdentity } from '../../src/state/store.js';
import { change, PARTITIONS, storeContract, textOf, update } from './store.contract.js';

const SF: StoreIdentity = { region: 'sf', partitions: PARTITIONS };

storeContract('LmdbStore', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gs-lmdb-'));
  const store = await LmdbStore.open(folder, SF);
  return {
    store,
    dispose: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
});

describe('LmdbStore.open', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gs-lmdb-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  async function refusalOf(identity: StoreIdentity): Promise<GroundswellError> {
    const thrown = await LmdbStore.open(folder, identity).then(
      (store) => store.close(),
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(GroundswellError);
    return thrown as GroundswellError;
  }

  it('P5 a store that was closed and opened again has all that was written', async () => {
    const first = await LmdbStore.open(folder, SF);
    await first.write([
      update(0, 3, change('a', 'A', true), change('b', 'B'), change('gone', undefined)),
      update(3, 4, change('c', 'C')),
    ]);
    await first.close();
    const second = await LmdbStore.open(folder, SF);
    expect(textOf(second.source(0).get(actorId('cell', 'a')))).toBe('A');
    expect(textOf(second.source(3).get(actorId('cell', 'c')))).toBe('C');
    expect([...second.timed(0)].map(([id, record]) => [id, textOf(record)])).toEqual([['cell/a', 'A']]);
    expect(second.position(0)!.journalSeq).toBe(3);
    expect(textOf(second.position(3)!.control)).toBe('control 4');
    expect(second.position(1)).toBeUndefined();
    expect(second.sizeBytes()).toBeGreaterThan(0);
    await second.close();
  });

  it.each([
    { region: 'nyc', partitions: PARTITIONS },
    { region: 'sf', partitions: PARTITIONS * 2 },
    { region: 'sf', partitions: 1 },
  ])('refuses the folder of another region or partition count with GS_DATA_FOREIGN: %o', async (identity) => {
    await (await LmdbStore.open(folder, SF)).close();
    const error = await refusalOf(identity);
    expect(error.code).toBe('GS_DATA_FOREIGN');
    expect(error.message).toContain(folder);
    expect(error.message).toContain(`region sf with ${PARTITIONS} partitions`);
    // Refusing leaves the folder as it was, and free.
    await (await LmdbStore.open(folder, SF)).close();
  });

  it('refuses a folder of a newer format with GS_DATA_NEWER', async () => {
    const root = open({ path: folder, maxDbs: 16 });
    const meta = root.openDB<unknown, string>({ name: 'meta', encoding: 'msgpack' });
    await meta.put('identity', { ...SF, format: STORE_FORMAT + 1 });
    await root.close();
    expect((await refusalOf(SF)).code).toBe('GS_DATA_NEWER');
  });

  it('a folder that cannot be opened is GS_DATA_CORRUPT, with its cause', async () => {
    writeFileSync(join(folder, 'file'), '');
    const error = await LmdbStore.open(join(folder, 'file', 'snapshots'), SF).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'GS_DATA_CORRUPT' });
    expect((error as Error).cause).toBeInstanceOf(Error);
  });
});
