// Hunts: an object that is listed before it is whole, bytes that come back in another order or not all, and a second object
// under the name of the first.
import { beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../src/log/objects.js';

export async function* pieces(...all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of all) yield await Promise.resolve(piece);
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<Buffer | undefined> {
  if (chunks === undefined) return undefined;
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(new Uint8Array(chunk));
  return Buffer.concat(all);
}

/** Bytes that tell where they belong. */
export function numbered(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i ^ (i >> 8) ^ (i >> 16)) & 0xff;
  return bytes;
}

const text = (body: string): Buffer => Buffer.from(body);

/** What every object store holds. `make` gives an empty one. */
export function objectsContract(
  name: string,
  /** `damage` changes the bytes of an object; without it, whoever reads one must find that out. */
  make: () => Promise<{ objects: ObjectStore; damage?: (name: string) => Promise<void> }>,
): void {
  describe(name, () => {
    let objects: ObjectStore;
    let damage: ((name: string) => Promise<void>) | undefined;
    const names = async (): Promise<string[]> => (await objects.list()).map((info) => info.name).sort();
    beforeEach(async () => {
      ({ objects, damage } = await make());
    });

    it('is empty at first', async () => {
      expect(await objects.list()).toEqual([]);
      expect(await objects.get('000/1')).toBeUndefined();
      await objects.remove('000/1');
    });

    it('gives back what was put, and lists it', async () => {
      const info = await objects.put('007/12-1-abcdef01', pieces(text('one '), text(''), text('two')));
      expect(info).toMatchObject({ name: '007/12-1-abcdef01', bytes: 7 });
      expect((await bytesOf(await objects.get('007/12-1-abcdef01')))!.toString()).toBe('one two');
      expect(await objects.list()).toEqual([info]);
    });

    it('takes an object of no bytes, and any name', async () => {
      for (const odd of ['empty', 'a b/ü.>*', 'x'.repeat(200)]) {
        await objects.put(odd, pieces());
        expect(await bytesOf(await objects.get(odd))).toHaveLength(0);
      }
      expect(await names()).toEqual(['a b/ü.>*', 'empty', 'x'.repeat(200)].sort());
    });

    it('takes pieces of any size: many small ones, and one that is larger than a message', async () => {
      const large = numbered(5_000_003);
      const cut: Uint8Array[] = [];
      for (let at = 0, size = 1; at < large.byteLength; at += size, size = (size * 7) % 99_991)
        cut.push(large.subarray(at, Math.min(large.byteLength, at + size)));
      await objects.put('cut', pieces(...cut));
      await objects.put('whole', pieces(large));
      for (const each of ['cut', 'whole'])
        expect((await bytesOf(await objects.get(each)))!.equals(large), each).toBe(true);
    });

    it('a put that fails leaves nothing to be seen, and its name free', async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield numbered(3_000_000);
        await Promise.resolve();
        throw new Error('the source broke off');
      }
      await expect(objects.put('x', broken())).rejects.toThrow('the source broke off');
      expect(await objects.list()).toEqual([]);
      expect(await objects.get('x')).toBeUndefined();
      await objects.put('x', pieces(text('now')));
      expect((await bytesOf(await objects.get('x')))!.toString()).toBe('now');
    });

    it('never changes an object: a second one of its name is refused', async () => {
      await objects.put('x', pieces(text('first')));
      await expect(objects.put('x', pieces(text('second')))).rejects.toMatchObject({ code: 'GS_LOG' });
      const [one, other] = await Promise.allSettled([
        objects.put('y', pieces(text('one'))),
        objects.put('y', pieces(text('other'))),
      ]);
      expect([one.status, other.status].sort()).toEqual(['fulfilled', 'rejected']);
      expect((await bytesOf(await objects.get('x')))!.toString()).toBe('first');
      expect((await bytesOf(await objects.get('y')))!.toString()).toBe(
        one.status === 'fulfilled' ? 'one' : 'other',
      );
    });

    it('removes one and leaves the others; its name may be taken again', async () => {
      await objects.put('a', pieces(text('A')));
      await objects.put('b', pieces(text('B')));
      await objects.remove('a');
      expect(await names()).toEqual(['b']);
      expect(await objects.get('a')).toBeUndefined();
      expect((await bytesOf(await objects.get('b')))!.toString()).toBe('B');
      await objects.put('a', pieces(text('again')));
      expect((await bytesOf(await objects.get('a')))!.toString()).toBe('again');
    });

    it('says GS_DATA_CORRUPT at the end of an object whose bytes are not those that were put', async ({
      skip,
    }) => {
      if (damage === undefined) return skip('has no digest of its own');
      await objects.put('x', pieces(numbered(300_000)));
      await damage('x');
      await expect(bytesOf(await objects.get('x'))).rejects.toMatchObject({ code: 'GS_DATA_CORRUPT' });
    });

    it('a reader may leave early', async () => {
      await objects.put('x', pieces(numbered(3_000_000)));
      for await (const chunk of (await objects.get('x'))!) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
      expect((await bytesOf(await objects.get('x')))!.byteLength).toBe(3_000_000);
    });
  });
}
