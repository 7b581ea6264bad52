/** Hunts: a disk that takes no more, and nobody hears of it, or hears of it where nobody can catch it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
/** The largest file that the program may write, in blocks of 1,024 bytes. */
const FILE_BLOCKS = 8_192;

/** Writes ever more actors until that fails, then looks what is there, in this process and in the folder opened again. */
const FILL = `
  const { LmdbStore } = await import(process.argv[1] + '/state/lmdb/lmdb-store.ts');
  const { Changes } = await import(process.argv[1] + '/partition/changes.ts');
  const unhandled = [];
  process.on('unhandledRejection', (error) => unhandled.push(String(error)));
  const identity = { region: 'sf', partitions: 4 };
  let store = await LmdbStore.open(process.argv[2], identity);
  const commitsOf = (round) => [Changes.of(Array.from({ length: 5_000 }, (_, i) => {
    return { id: 'driver/' + round + '-' + i, bytes: new Uint8Array(80).fill(round), timed: i % 2 === 0 };
  }))];
  let written = 0;
  let code;
  while (code === undefined && written < 100) {
    const updates = [0, 1, 2, 3].map((partition) =>
      ({ partition, journalSeq: written + 1, control: new Uint8Array(100), commits: commitsOf(written) }));
    await store.write(updates).then(() => written++, (error) => (code = error.code));
  }
  // There may be room for this one, but it would stand for what was not written.
  const last = { partition: 0, journalSeq: 1_000, control: new Uint8Array(1), commits: [] };
  const again = await store.write([last]).then(() => 'written', (error) => error.code);
  const look = () => [0, 1, 2, 3].map((p) => [store.position(p)?.journalSeq, [...store.timed(p)].length]);
  const before = look();
  await store.close();
  store = await LmdbStore.open(process.argv[2], identity);
  const after = look();
  await store.close();
  await new Promise((resolve) => setImmediate(resolve));
  console.log(JSON.stringify({ code, again, written, before, after, unhandled }));
`;

describe('snapshots on a disk that is full', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'groundswell-full-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('P5 a write that fails is GS_DATA_WRITE, and what was written before stays', () => {
    // Writing beyond the limit is an error then, not the end of the process.
    const limited = `trap '' XFSZ; ulimit -f ${FILE_BLOCKS}; exec "$0" "$@"`;
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', FILL];
    const args = [join(ROOT, 'src'), join(folder, 'snapshots')];
    const { stdout, stderr } = spawnSync('bash', ['-c', limited, ...node, ...args], {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(stdout, stderr).not.toBe('');
    const { code, again, written, before, after, unhandled } = JSON.parse(stdout) as {
      code: string;
      again: string;
      written: number;
      before: unknown;
      after: unknown;
      unhandled: string[];
    };
    expect([code, again]).toEqual(['GS_DATA_WRITE', 'GS_DATA_WRITE']);
    expect(unhandled).toEqual([]);
    expect(written).toBeGreaterThan(0);
    const whole = Array.from({ length: 4 }, () => [written, 2_500 * written]);
    expect([before, after]).toEqual([whole, whole]);
  }, 90_000);
});
