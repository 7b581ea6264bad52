/** Hunts damaged snapshot files that end the process instead of giving an error (P5: they are rebuilt). */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/core/clock.js';
import { actorId } from '../../../src/core/ids.js';
import { inspectFile } from '../../../src/state/lmdb/damage.js';
import { Changes } from '../../../src/partition/changes.js';
import { LmdbStore } from '../../../src/state/lmdb/lmdb-store.js';
import { openSnapshots } from '../../../src/state/lmdb/open-snapshots.js';
import { until } from '../../support/until.js';

const identity = { region: 'x', partitions: 1 };
let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'groundswell-test-'));
  file = join(folder, 'data.mdb');
  const store = await LmdbStore.open(folder, identity);
  const changes = Array.from({ length: 2_000 }, (_, i) => {
    const id = actorId('driver', `d-${i}`);
    return { id, bytes: new Uint8Array(100), timed: false };
  });
  await store.write([
    { partition: 0, journalSeq: 1, control: new Uint8Array(1), commits: [Changes.of(changes)] },
  ]);
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

/** Chance that is the same each time. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** All that a store says of partition 0, or undefined when it refuses to. */
async function contentOf(at: string): Promise<string | undefined> {
  try {
    const store = await LmdbStore.open(at, identity);
    try {
      const out = store.export(0);
      const records = [...(out?.bites ?? [])]
        .flat()
        .map(([id, bytes, timed]) => `${id} ${timed} ${Buffer.from(bytes).toString('hex')}`);
      const found = records
        .map((line) => line.split(' ')[0]!)
        .filter((id) => store.source(0).get(id as never));
      const timed = [...store.timed(0)].length;
      out?.close();
      return `${out?.position.journalSeq} ${found.length} ${timed} ${records.join()}`;
    } finally {
      await store.close();
    }
  } catch (error) {
    expect(error).toMatchObject(corrupt);
    return undefined;
  }
}

describe('a flipped bit', () => {
  it('P5 is named or without effect, wherever it is: never a crash, never a state that was not written', async () => {
    const store = await LmdbStore.open(folder, identity);
    // Records of several pages, a free list, and branches.
    const changes = Array.from({ length: 900 }, (_, i) => {
      const id = actorId('cell', `c-${i}`);
      return { id, bytes: new Uint8Array(i % 100 === 0 ? 9_000 : 120).fill(i), timed: i % 5 === 0 };
    });
    await store.write([
      { partition: 0, journalSeq: 2, control: new Uint8Array(300), commits: [Changes.of(changes)] },
    ]);
    await store.close();
    const whole = await readFile(file);
    const truth = await contentOf(folder);
    expect(truth).toMatch(/^2 2900 180 /);
    // What was opened has written a little: begin from the same bytes each time.
    const throwDice = dice(7);
    const seen = { named: 0, harmless: 0 };
    for (let i = 0; i < 120; i++) {
      const bytes = Buffer.from(whole);
      // Half of them in what a page says of itself.
      const at =
        i % 2 === 0
          ? throwDice(whole.byteLength)
          : 4_096 * throwDice(whole.byteLength / 4_096) + throwDice(60);
      bytes[at]! ^= 1 << throwDice(8);
      await writeFile(file, bytes);
      const content = await contentOf(folder);
      if (content === undefined) seen.named++;
      else {
        expect(content, `byte ${at}`).toBe(truth);
        seen.harmless++;
      }
    }
    expect(seen.named).toBeGreaterThan(30);
  }, 120_000);

  it('in a value is found when it is read, and names the partition', async () => {
    const root = open({ path: folder, maxDbs: 16 });
    const actors = root.openDB<Uint8Array, string>({ name: 'actors-000', encoding: 'binary' });
    const store = await LmdbStore.open(folder, identity);
    const stored = Buffer.from(actors.get('driver/d-7')!);
    stored[50]! ^= 1;
    await actors.put('driver/d-7', stored);
    const read = (): unknown => store.source(0).get(actorId('driver', 'd-7'));
    // LMDB goes on reading as of the transaction that it has open, for a turn.
    await until('the other’s write is seen', () => {
      try {
        return read() === undefined;
      } catch {
        return true;
      }
    });
    expect(read).toThrow(expect.objectContaining({ code: 'GS_DATA_CORRUPT' }) as Error);
    expect(read).toThrow(/partition 0/);
    expect(store.source(0).get(actorId('driver', 'd-8'))).toHaveLength(100);
    // A partition that is dropped and filled again is sound.
    await store.clear(0);
    expect(read()).toBeUndefined();
    await store.close();
    await root.close();
  });
});

describe('sound files', () => {
  it('are not called damaged, however much was written, removed and cleared', async () => {
    const store = await LmdbStore.open(folder, identity);
    const throwDice = dice(3);
    for (let round = 0; round < 40; round++) {
      const changes = Array.from({ length: 300 }, () => {
        const id = actorId('driver', `d-${throwDice(3_000)}`);
        const length = throwDice(50) === 0 ? 20_000 : 50 + throwDice(400);
        const bytes = throwDice(3) === 0 ? undefined : new Uint8Array(length);
        return { id, bytes, timed: bytes !== undefined && throwDice(4) === 0 };
      });
      await store.write([
        { partition: 0, journalSeq: round + 2, control: new Uint8Array(50), commits: [Changes.of(changes)] },
      ]);
      if (round === 25) await store.clear(0);
      expect(inspectFile(file).damage).toBeUndefined();
    }
    await store.close();
    expect(inspectFile(file).damage).toBeUndefined();
  });
});

describe('keys that LMDB writes otherwise than as their text', () => {
  const odd = ['\u0000', '\u0001x', 'ä/ö', '😀', '', 'a b', '\u007f', '\u001b[0m', '9'.repeat(300)];

  it('are not taken for damaged ones, and a changed one is found all the same', async () => {
    const store = await LmdbStore.open(folder, identity);
    const changes = odd.map((key) => {
      const id = actorId('cell', key);
      return { id, bytes: new Uint8Array(9).fill(3), timed: true };
    });
    await store.write([
      { partition: 0, journalSeq: 2, control: new Uint8Array(9), commits: [Changes.of(changes)] },
    ]);
    await store.close();
    const again = await LmdbStore.open(folder, identity);
    for (const key of odd) expect(again.source(0).get(actorId('cell', key)), key).toHaveLength(9);
    expect([...again.timed(0)]).toHaveLength(odd.length);
    await again.close();
    const root = open({ path: folder, maxDbs: 16 });
    const actors = root.openDB<Uint8Array, string>({ name: 'actors-000', encoding: 'binary' });
    const stored = Buffer.from(actors.get('cell/\u0001x')!);
    stored[6]! ^= 1;
    await actors.put('cell/\u0001x', stored);
    await root.close();
    await expect(LmdbStore.open(folder, identity)).rejects.toMatchObject(corrupt);
  });
});

describe('what an import that was broken off has left', () => {
  it('P5 is gone at the next start: no actor of it is mixed with those of the journal', async () => {
    const store = await LmdbStore.open(folder, identity);
    async function* broken(): AsyncGenerator<never[]> {
      yield await Promise.resolve([[actorId('cell', 'x'), new Uint8Array(9), true] as never]);
      throw new Error('the process died');
    }
    const position = { journalSeq: 9, control: new Uint8Array(1) };
    await expect(store.import(0, position, broken())).rejects.toThrow('the process died');
    await store.close();
    const root = open({ path: folder, maxDbs: 16 });
    const actors = root.openDB<Uint8Array, string>({ name: 'actors-000', encoding: 'binary' });
    await actors.put('cell/y', new Uint8Array(9));
    await root.close();
    const again = await LmdbStore.open(folder, identity);
    expect([again.position(0), again.source(0).get(actorId('cell', 'y'))]).toEqual([undefined, undefined]);
    await again.close();
  });
});

describe('openSnapshots', () => {
  const clock = new VirtualClock(Date.parse('2026-03-02T08:41:05Z'));
  let lost: string[];
  const openAgain = async (): Promise<void> => {
    const snapshots = join(folder, 'snapshots');
    const store = await openSnapshots({
      folder: snapshots,
      identity,
      clock,
      onLost: (why) => lost.push(why),
    });
    expect(store.position(0)).toBeUndefined();
    await store.write([{ partition: 0, journalSeq: 1, control: new Uint8Array(1), commits: [] }]);
    await store.close();
  };
  const damageIt = async (): Promise<void> => {
    await writeFile(join(folder, 'snapshots', 'data.mdb'), 'damaged');
  };
  const foldersThere = async (): Promise<string[]> =>
    (await readdir(folder)).filter((name) => name.startsWith('snapshots')).sort();
  beforeEach(() => {
    lost = [];
  });

  it('sets a damaged one aside, begins an empty one, and says so; two of them are kept', async () => {
    await openAgain();
    expect(lost).toEqual([]);
    for (let n = 1; n <= 4; n++) {
      await damageIt();
      await openAgain();
      expect(lost).toHaveLength(n);
      expect(lost.at(-1)).toMatch(/damaged: it is no LMDB file.*snapshots\.damaged-20260302T/s);
      clock.advance(1_000);
    }
    expect(await foldersThere()).toEqual([
      'snapshots',
      'snapshots.damaged-20260302T084107Z',
      'snapshots.damaged-20260302T084108Z',
    ]);
  });

  it('begins an empty one where the file was deleted, and says so', async () => {
    await openAgain();
    await rm(join(folder, 'snapshots', 'data.mdb'));
    await openAgain();
    expect(lost).toEqual([expect.stringMatching(/are gone/)]);
    expect(await foldersThere()).toEqual(['snapshots']);
  });

  it('refuses the folder of another region, and leaves it as it is', async () => {
    await openAgain();
    const other = { region: 'y', partitions: 3 };
    const opening = openSnapshots({
      folder: join(folder, 'snapshots'),
      identity: other,
      clock,
      onLost: () => undefined,
    });
    await expect(opening).rejects.toMatchObject({ code: 'GS_DATA_FOREIGN' });
    expect(await foldersThere()).toEqual(['snapshots']);
  });
});
