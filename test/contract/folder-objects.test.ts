// Hunts, beyond the contract: a name that leads out of the folder, and a file that was not finished taken for an object.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FolderObjects } from '../../src/cli/folder-objects.js';
import { bytesOf, objectsContract, pieces } from './objects.contract.js';

const folder = mkdtempSync(join(tmpdir(), 'gs-folder-objects-'));
let folders = 0;
const fresh = (): string => join(folder, String(++folders), 'objects');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

objectsContract('FolderObjects', () => Promise.resolve({ objects: new FolderObjects(fresh()) }));

describe('FolderObjects', () => {
  it('keeps every name within its folder', async () => {
    const at = fresh();
    const objects = new FolderObjects(at);
    await objects.put('../../out', pieces(new Uint8Array(3)));
    expect(existsSync(join(at, '../../out'))).toBe(false);
    expect((await objects.list()).map(({ name }) => name)).toEqual(['../../out']);
    expect(await bytesOf(await objects.get('../../out'))).toHaveLength(3);
  });

  it('does not list what a process that died has begun', async () => {
    const at = fresh();
    const objects = new FolderObjects(at);
    await objects.put('a', pieces());
    writeFileSync(join(at, 'b.1.part'), 'begun');
    expect((await objects.list()).map(({ name }) => name)).toEqual(['a']);
  });
});
