/**
 * What every home of leases does the same. Hunts: a lease that outlives its time or runs out before it, a stale write that
 * replaces a newer one, a watcher who misses somebody's going, or hears of it twice.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Lease, LeaseChange, LeaseOutcome, Leases } from '../../src/log/leases.js';

export interface LeaseHome {
  /** One client more. */
  client(): Leases;
  /** Lets time pass until the condition holds; fails after 20 s of it. */
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>;
  /** Lets all that is under way arrive. */
  settle(): Promise<void>;
  now(): number;
}

const TTL_MS = 2_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (lease: Lease | undefined): string | undefined =>
  lease === undefined ? undefined : new TextDecoder().decode(lease.value);

/** What a watcher was told, as short lines. */
export class Heard {
  readonly lines: string[] = [];
  readonly seqs: number[] = [];
  #close: () => Promise<void> = () => Promise.resolve();

  static async of(leases: Leases): Promise<Heard> {
    const heard = new Heard();
    const watch = await leases.watch((change) => {
      heard.#told(change);
    });
    heard.#close = () => watch.close();
    return heard;
  }

  has(line: string): boolean {
    return this.lines.includes(line);
  }

  close(): Promise<void> {
    return this.#close();
  }

  #told(change: LeaseChange): void {
    if (change.kind === 'gone') {
      this.lines.push(`${change.name} gone`);
      return;
    }
    this.lines.push(`${change.lease.name}=${textOf(change.lease)!}`);
    this.seqs.push(change.lease.seq);
  }
}

export function leasesContract(name: string, open: () => Promise<LeaseHome>): void {
  describe(`${name}: the contract of leases`, () => {
    let home: LeaseHome;
    let leases: Leases;
    const watches: Heard[] = [];

    beforeEach(async () => {
      home = await open();
      leases = home.client();
    });
    afterEach(async () => {
      for (const heard of watches.splice(0)) await heard.close();
    });

    const write = (lease: string, text: string, expectSeq?: number): Promise<LeaseOutcome> =>
      leases.write({
        name: lease,
        value: bytes(text),
        ttlMs: TTL_MS,
        ...(expectSeq === undefined ? {} : { expectSeq }),
      });
    const seqOf = async (outcome: Promise<LeaseOutcome>): Promise<number> => {
      const written = await outcome;
      if (written.outcome !== 'written') throw new Error(written.outcome);
      return written.seq;
    };
    const find = async (lease: string): Promise<Lease | undefined> =>
      (await leases.list()).find((found) => found.name === lease);
    const watch = async (): Promise<Heard> => {
      const heard = await Heard.of(home.client());
      watches.push(heard);
      return heard;
    };

    it('keeps the last value of each name, and lists what there is', async () => {
      expect(await leases.list()).toEqual([]);
      await write('a', 'first');
      const seq = await seqOf(write('a', 'second'));
      await write('b', 'other');
      const listed = await leases.list();
      expect(listed.map((lease) => [lease.name, textOf(lease)]).sort()).toEqual([
        ['a', 'second'],
        ['b', 'other'],
      ]);
      expect((await find('a'))?.seq).toBe(seq);
    });

    it('gives growing sequences, over all names', async () => {
      const seqs = [
        await seqOf(write('a', '1')),
        await seqOf(write('b', '2')),
        await seqOf(write('a', '3', undefined)),
      ];
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    });

    it('a write that expects another sequence than there is is stale, and changes nothing', async () => {
      expect(await write('a', 'x', 7)).toEqual({ outcome: 'stale' });
      const first = await seqOf(write('a', 'first', 0));
      expect(await write('a', 'again', 0)).toEqual({ outcome: 'stale' });
      const second = await seqOf(write('a', 'second', first));
      expect(await write('a', 'late', first)).toEqual({ outcome: 'stale' });
      expect(textOf(await find('a'))).toBe('second');
      expect((await find('a'))?.seq).toBe(second);
    });

    it('a write without an expectation replaces whatever is there', async () => {
      await write('a', 'first', 0);
      await write('a', 'second');
      expect(textOf(await find('a'))).toBe('second');
    });

    it('of many that expect the same sequence, one is written', async () => {
      const seq = await seqOf(write('a', 'start', 0));
      const outcomes = await Promise.all(Array.from({ length: 10 }, (_, i) => write('a', `w${i}`, seq)));
      expect(outcomes.filter(({ outcome }) => outcome === 'written').length).toBe(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'stale').length).toBe(9);
    });

    it('a lease runs out after its time, not before, and whoever watches hears of it', async () => {
      const heard = await watch();
      const startedMs = home.now();
      const seq = await seqOf(write('a', 'x', 0));
      await home.until('the lease is gone', () => heard.has('a gone'));
      const lastedMs = home.now() - startedMs;
      expect(lastedMs).toBeGreaterThanOrEqual(TTL_MS - 50);
      expect(lastedMs).toBeLessThan(TTL_MS + 2_000);
      expect(await find('a')).toBeUndefined();
      expect(await write('a', 'y', seq)).toEqual({ outcome: 'stale' });
      expect(heard.lines).toEqual(['a=x', 'a gone']);
    });

    it('a renewed lease stays, one that is not renewed goes', async () => {
      const heard = await watch();
      const startedMs = home.now();
      let seq = await seqOf(write('kept', '0', 0));
      await write('left', '0', 0);
      let nextMs = startedMs + 500;
      await home.until('the one that nobody renews is gone', async () => {
        if (home.now() >= nextMs) {
          nextMs += 500;
          seq = await seqOf(write('kept', '0', seq));
        }
        return heard.has('left gone');
      });
      expect(heard.has('kept gone')).toBe(false);
      expect((await find('kept'))?.seq).toBe(seq);
    });

    it('a lease that was given up is gone at once, and its name is free', async () => {
      const heard = await watch();
      const seq = await seqOf(write('a', 'x', 0));
      // One value is kept of a name: who has not heard of the lease when it goes never does.
      await home.until('it is told', () => heard.has('a=x'));
      await leases.remove('a');
      expect(await find('a')).toBeUndefined();
      await home.until('it is told', () => heard.has('a gone'));
      expect(await write('a', 'late', seq)).toEqual({ outcome: 'stale' });
      expect(await seqOf(write('a', 'anew', 0))).toBeGreaterThan(seq);
      expect(textOf(await find('a'))).toBe('anew');
      await home.until('it is told', () => heard.has('a=anew'));
      expect(heard.lines).toEqual(['a=x', 'a gone', 'a=anew']);
    });

    it('a name whose lease has run out is free', async () => {
      const heard = await watch();
      const seq = await seqOf(write('a', 'x', 0));
      await home.until('the lease is gone', () => heard.has('a gone'));
      expect(await seqOf(write('a', 'anew', 0))).toBeGreaterThan(seq);
      expect(await write('a', 'again', 0)).toEqual({ outcome: 'stale' });
    });

    it('giving up what is not there is told to nobody', async () => {
      const heard = await watch();
      await leases.remove('nobody');
      await write('a', 'x');
      await home.until('it is told', () => heard.has('a=x'));
      expect(heard.lines).toEqual(['a=x']);
    });

    it('a watcher is told of all there are, and nothing of what is gone', async () => {
      await write('gone', 'x');
      await leases.remove('gone');
      await write('a', 'old');
      await write('a', 'new');
      await write('b', 'x');
      const heard = await watch();
      await home.until('both are told', () => heard.has('a=new') && heard.has('b=x'));
      expect(heard.lines).toEqual(['a=new', 'b=x']);
    });

    it('all watchers are told, in the order of sequences, and a closed one no more', async () => {
      const one = await watch();
      const two = await watch();
      const closed = await watch();
      await closed.close();
      for (let i = 0; i < 20; i++) {
        await write(`n${i % 5}`, String(i));
        await home.settle();
      }
      for (const heard of [one, two]) {
        await home.until('the last is told', () => heard.has('n4=19'));
        expect(heard.seqs).toEqual([...new Set(heard.seqs)].sort((a, b) => a - b));
      }
      expect(closed.lines).toEqual([]);
    });

    it('a lease changes hands whole: values of any bytes and of thousands of them', async () => {
      const value = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256);
      await leases.write({ name: 'large', value, ttlMs: TTL_MS });
      expect((await find('large'))?.value).toEqual(value);
    });
  });
}
