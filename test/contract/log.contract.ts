// Hunts: a batch stored in part, a compare-and-set that is not looked at, a reader that skips, repeats or falls asleep,
// and a log in memory that is more forgiving than the real one.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { readToEnd, type Log, type LogEntry, type LogMessage, type LogReader } from '../../src/log/log.js';
import type { Subjects } from '../../src/log/subjects.js';

export interface LogUnderTest {
  readonly log: Log;
  /** Subjects that the log takes; nothing was ever stored on them. */
  readonly subjects: Subjects;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = ({ payload }: LogMessage): string => new TextDecoder().decode(payload);
const entry = (subject: string, payload: string, expectLastSeq?: number): LogEntry =>
  expectLastSeq === undefined
    ? { subject, payload: bytes(payload) }
    : { subject, payload: bytes(payload), expectLastSeq };

/** A reader and its wakes, so that a test waits for what comes and never for time. */
export class Follower {
  wakes = 0;
  #wake = (): void => undefined;
  reader!: LogReader;

  static async of(log: Log, subject: string, fromSeq: number): Promise<Follower> {
    const follower = new Follower();
    follower.reader = await log.read(subject, fromSeq, () => {
      follower.wakes++;
      follower.#wake();
    });
    return follower;
  }

  /** Waits, wake by wake, until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    for (;;) {
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      if (condition()) return;
      await woken;
    }
  }

  async next(count: number): Promise<LogMessage[]> {
    const got: LogMessage[] = [];
    await this.until(() => {
      got.push(...this.reader.take(Number.POSITIVE_INFINITY));
      return got.length >= count;
    });
    return got;
  }
}

async function all(log: Log, subject: string, fromSeq = 1): Promise<LogMessage[]> {
  const messages: LogMessage[] = [];
  for await (const message of readToEnd(log, subject, fromSeq)) messages.push(message);
  return messages;
}

async function stored(log: Log, entries: readonly LogEntry[]): Promise<number> {
  const outcome = await log.append(entries);
  if (outcome.outcome !== 'committed') throw new Error(`${outcome.outcome}: ${outcome.cause}`);
  return outcome.firstSeq;
}

/** What every log holds. `make` gives an empty one. */
export function logContract(name: string, make: () => Promise<LogUnderTest>): void {
  describe(`${name}: append`, () => {
    let log: Log;
    let subjects: Subjects;
    let journal: string;
    beforeEach(async () => {
      ({ log, subjects } = await make());
      journal = subjects.journal(0);
    });

    it('P2 stores a batch whole, in order, with contiguous sequences from firstSeq on', async () => {
      await stored(log, [entry(journal, 'before')]);
      const firstSeq = await stored(log, [
        entry(journal, 'a'),
        entry(subjects.out(0), 'b'),
        entry(subjects.mail(1), 'c'),
        entry(journal, 'd'),
      ]);
      const follower = await Follower.of(log, subjects.engineSubjects, firstSeq);
      expect((await follower.next(4)).map((m) => [m.seq - firstSeq, m.subject, text(m)])).toEqual([
        [0, journal, 'a'],
        [1, subjects.out(0), 'b'],
        [2, subjects.mail(1), 'c'],
        [3, journal, 'd'],
      ]);
      await follower.reader.close();
    });

    it('P1 refuses the whole batch when one expectation is stale', async () => {
      const seq = await stored(log, [entry(journal, 'first', 0)]);
      const stale = await log.append([
        entry(subjects.out(0), 'row'),
        entry(subjects.journal(1), 'other', 0),
        entry(journal, 'second', seq - 1),
        entry(subjects.mail(1), 'mail'),
      ]);
      expect(stale.outcome).toBe('stale');
      expect(await log.lastSeq()).toBe(seq);
      expect(await log.last(subjects.out(0))).toBeUndefined();
      expect(await log.last(subjects.journal(1))).toBeUndefined();
      expect(text((await log.last(journal))!)).toBe('first');
    });

    it('P1 several subjects each carry their own expectation', async () => {
      const first = await stored(log, [entry(journal, 'a', 0), entry(subjects.journal(1), 'b', 0)]);
      const second = await stored(log, [
        entry(journal, 'c', first),
        entry(journal, 'd'),
        entry(subjects.journal(1), 'e', first + 1),
        entry(subjects.journal(2), 'f', 0),
      ]);
      expect((await log.last(journal))!.seq).toBe(second + 1);
      expect((await log.last(subjects.journal(2)))!.seq).toBe(second + 3);
    });

    it('P1 expectation 0 means that the subject is empty', async () => {
      await stored(log, [entry(subjects.out(0), 'elsewhere')]);
      const seq = await stored(log, [entry(journal, 'a', 0)]);
      expect((await log.append([entry(journal, 'b', 0)])).outcome).toBe('stale');
      expect((await log.last(journal))!.seq).toBe(seq);
    });

    it('P1 an expectation may speak of another subject, which the batch does not write: a claim that others may take over', async () => {
      const claim = subjects.session('p');
      const first = await stored(log, [entry(claim, 'mine', 0)]);
      const under = (seq: number): LogEntry => ({
        ...entry(subjects.events(0), 'frame', seq),
        expectSubject: claim,
      });
      await stored(log, [under(first), entry(subjects.events(1), 'frame')]);
      await stored(log, [entry(subjects.events(1), 'of another')]);
      await stored(log, [under(first), entry(subjects.events(0), 'frame')]);
      const second = await stored(log, [entry(claim, 'another’s', first)]);
      const before = await log.lastSeq();
      expect((await log.append([under(first), entry(subjects.events(1), 'late')])).outcome).toBe('stale');
      expect(await log.lastSeq()).toBe(before);
      await stored(log, [under(second)]);
    });

    it('P1 an expectation on a later message of a subject in the batch is stale: it would see its own batch', async () => {
      const outcome = await log.append([entry(journal, 'a', 0), entry(journal, 'b', 0)]);
      expect(outcome.outcome).not.toBe('committed');
      expect(await log.lastSeq()).toBe(0);
    });

    it('P1 of two writers that expect the same end, one is stored and one is stale', async () => {
      const outcomes = await Promise.all(
        ['mine', 'yours'].map((who) => log.append([entry(journal, who, 0), entry(subjects.out(0), who)])),
      );
      expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['committed', 'stale']);
      expect((await all(log, journal)).length).toBe(1);
      expect((await all(log, subjects.out(0))).length).toBe(1);
    });

    it('P8 refuses an empty batch, and one of too many messages, without storing anything', async () => {
      expect(await log.append([])).toMatchObject({ outcome: 'refused', retry: false });
      const tooMany = Array.from({ length: log.batchEntriesMax + 1 }, () => entry(journal, 'x'));
      expect(await log.append(tooMany)).toMatchObject({ outcome: 'refused', retry: false });
      expect(await log.lastSeq()).toBe(0);
      expect(await stored(log, tooMany.slice(1))).toBe(1);
      expect(await log.lastSeq()).toBe(log.batchEntriesMax);
    });

    it('P8 refuses a batch with one payload over the limit without storing anything; one at the limit is stored', async () => {
      const large = { subject: journal, payload: new Uint8Array(log.payloadBytesMax + 1).fill(7) };
      const outcome = await log.append([entry(subjects.out(0), 'small'), large]);
      expect(outcome).toMatchObject({ outcome: 'refused', retry: false });
      expect(await log.lastSeq()).toBe(0);
      const payload = large.payload.subarray(1);
      await stored(log, [entry(subjects.out(0), 'small', 0), { ...large, payload, expectLastSeq: 0 }]);
      expect((await log.last(journal))!.payload.byteLength).toBe(log.payloadBytesMax);
    });

    it('keeps the payload as it was at the call', async () => {
      const payload = bytes('kept');
      await stored(log, [{ subject: journal, payload }]);
      payload.fill(0);
      expect(text((await log.last(journal))!)).toBe('kept');
    });

    it('P1 P2 any run of batches, stale or not, leaves what a plain list would hold', async () => {
      let partition = 10;
      const batch = fc.array(
        fc.record({ at: fc.nat(2), expect: fc.constantFrom('none', 'right', 'right', 'wrong') }),
        { minLength: 1, maxLength: 6 },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(batch, { maxLength: 8 }), async (batches) => {
          partition++;
          const names = [subjects.journal(partition), subjects.out(partition), subjects.mail(partition)];
          const model: { subject: string; seq: number; body: string }[] = [];
          const lastSeq = (subject: string): number =>
            model.findLast((message) => message.subject === subject)?.seq ?? 0;
          const before = await log.lastSeq();
          let nextSeq = before + 1;
          for (const [b, wanted] of batches.entries()) {
            const firsts = new Set<string>();
            let stale = false;
            const entries = wanted.map(({ at, expect: kind }, i) => {
              const subject = names[at]!;
              if (kind === 'none' || firsts.has(subject)) {
                firsts.add(subject);
                return entry(subject, `${b}/${i}`);
              }
              firsts.add(subject);
              if (kind === 'wrong') stale = true;
              return entry(subject, `${b}/${i}`, kind === 'right' ? lastSeq(subject) : lastSeq(subject) + 1);
            });
            const outcome = await log.append(entries);
            expect(outcome).toMatchObject(
              stale ? { outcome: 'stale' } : { outcome: 'committed', firstSeq: nextSeq },
            );
            if (stale) continue;
            for (const { subject, payload } of entries)
              model.push({ subject, seq: nextSeq++, body: new TextDecoder().decode(payload) });
          }
          for (const subject of names) {
            const found = await all(log, subject);
            expect(found.map((m) => ({ subject: m.subject, seq: m.seq, body: text(m) }))).toEqual(
              model.filter((message) => message.subject === subject),
            );
          }
        }),
        { numRuns: 15 },
      );
    });
  });

  describe(`${name}: read`, () => {
    let log: Log;
    let subjects: Subjects;
    let journal: string;
    beforeEach(async () => {
      ({ log, subjects } = await make());
      journal = subjects.journal(0);
    });

    it('gives the messages of one subject from a sequence on, inclusive, in order', async () => {
      for (const word of ['a', 'b', 'c'])
        await stored(log, [entry(journal, word), entry(subjects.out(0), word)]);
      const follower = await Follower.of(log, journal, 3);
      const messages = await follower.next(2);
      expect(messages.map((m) => [m.seq, m.subject, text(m)])).toEqual([
        [3, journal, 'b'],
        [5, journal, 'c'],
      ]);
      await follower.reader.close();
    });

    it('P3 reads both inputs of a partition in stream order, and no other partition’s', async () => {
      await stored(log, [
        entry(subjects.events(7), 'event 1'),
        entry(subjects.mail(7), 'mail 1'),
        entry(subjects.events(8), 'not here'),
        entry(subjects.out(7), 'not here'),
        entry(subjects.journal(7), 'not here'),
        entry(subjects.events(7), 'event 2'),
      ]);
      const follower = await Follower.of(log, subjects.inputs(7), 1);
      const messages = await follower.next(3);
      expect(messages.map((m) => [m.subject, text(m)])).toEqual([
        [subjects.events(7), 'event 1'],
        [subjects.mail(7), 'mail 1'],
        [subjects.events(7), 'event 2'],
      ]);
      await follower.reader.close();
    });

    it('reads the outputs of all partitions with one pattern', async () => {
      await stored(log, [
        entry(subjects.out(3), 'three'),
        entry(subjects.journal(3), 'not here'),
        entry(subjects.out(12), 'twelve'),
      ]);
      const follower = await Follower.of(log, subjects.allOut, 1);
      expect((await follower.next(2)).map(text)).toEqual(['three', 'twelve']);
      await follower.reader.close();
    });

    it('delivers what is appended later, and wakes for it', async () => {
      const follower = await Follower.of(log, journal, 1);
      expect(follower.reader.take(1_000)).toEqual([]);
      for (const word of ['one', 'two']) {
        const wakes = follower.wakes;
        await stored(log, [entry(journal, word)]);
        expect((await follower.next(1)).map(text)).toEqual([word]);
        expect(follower.wakes).toBeGreaterThan(wakes);
      }
      await follower.reader.close();
    });

    it('waits for a sequence that is not there yet, and gives nothing older', async () => {
      await stored(log, [entry(journal, 'old'), entry(journal, 'old')]);
      const follower = await Follower.of(log, journal, 4);
      await stored(log, [entry(journal, 'still old'), entry(journal, 'new')]);
      expect((await follower.next(1)).map(text)).toEqual(['new']);
      await follower.reader.close();
    });

    it('P8 take stops at the number of bytes, but gives at least one message', async () => {
      await stored(
        log,
        Array.from({ length: 5 }, (_, i) => entry(journal, `${i}`.repeat(10))),
      );
      const follower = await Follower.of(log, journal, 1);
      const { reader } = follower;
      await follower.until(() => reader.bufferedBytes >= 50);
      expect([reader.bufferedBytes, reader.bufferedMessages]).toEqual([50, 5]);
      expect(reader.take(29).map(({ seq }) => seq)).toEqual([1, 2]);
      expect(reader.bufferedBytes).toBe(30);
      expect(reader.take(1).map(({ seq }) => seq)).toEqual([3]);
      expect(reader.take(20).map(({ seq }) => seq)).toEqual([4, 5]);
      expect(reader.bufferedBytes).toBe(0);
      expect(reader.take(20)).toEqual([]);
      await reader.close();
    });

    it('pending is what has not come: nothing once everything has', async () => {
      await stored(log, [entry(journal, 'a'), entry(subjects.out(0), 'not here'), entry(journal, 'b')]);
      const follower = await Follower.of(log, journal, 1);
      const { reader } = follower;
      expect(reader.pending).toBeLessThanOrEqual(2);
      await follower.until(() => reader.bufferedBytes === 2);
      expect(reader.pending).toBe(0);
      await stored(log, [entry(journal, 'c')]);
      await follower.next(3);
      expect(reader.pending).toBe(0);
      await reader.close();
    });

    it('two readers of one subject each get everything', async () => {
      const one = await Follower.of(log, journal, 1);
      const two = await Follower.of(log, journal, 1);
      await stored(log, [entry(journal, 'a'), entry(journal, 'b')]);
      expect((await one.next(2)).map(text)).toEqual(['a', 'b']);
      expect((await two.next(2)).map(text)).toEqual(['a', 'b']);
      await one.reader.close();
      await two.reader.close();
    });

    it('wakes nobody after close, and closing is no failure', async () => {
      const closed = await Follower.of(log, journal, 1);
      await stored(log, [entry(journal, 'before')]);
      await closed.next(1);
      await closed.reader.close();
      const wakes = closed.wakes;
      const other = await Follower.of(log, journal, 1);
      await stored(log, [entry(journal, 'after')]);
      await other.next(2);
      expect(closed.wakes).toBe(wakes);
      expect(closed.reader.failure).toBeUndefined();
      await other.reader.close();
    });
  });

  describe(`${name}: last, purge, readToEnd`, () => {
    let log: Log;
    let subjects: Subjects;
    let journal: string;
    beforeEach(async () => {
      ({ log, subjects } = await make());
      journal = subjects.journal(0);
    });

    it('P6 last sees every acknowledged append, and nothing on an empty subject', async () => {
      expect(await log.last(journal)).toBeUndefined();
      for (let i = 1; i <= 20; i++) {
        const seq = await stored(log, [entry(journal, `${i}`)]);
        expect(await log.last(journal)).toMatchObject({ subject: journal, seq });
      }
      expect(await log.last(subjects.journal(1))).toBeUndefined();
    });

    it('next gives the first message of a subject at or after a sequence', async () => {
      expect(await log.next(journal, 1)).toBeUndefined();
      for (const word of ['a', 'b', 'c'])
        await stored(log, [entry(journal, word), entry(subjects.out(0), word)]);
      const found = async (subject: string, fromSeq: number): Promise<unknown> => {
        const message = await log.next(subject, fromSeq);
        return message && [message.subject, message.seq, text(message)];
      };
      expect(await found(journal, 0)).toEqual([journal, 1, 'a']);
      expect(await found(journal, 3)).toEqual([journal, 3, 'b']);
      expect(await found(journal, 4)).toEqual([journal, 5, 'c']);
      expect(await found(subjects.engineSubjects, 4)).toEqual([subjects.out(0), 4, 'b']);
      expect(await found(journal, 6)).toBeUndefined();
      expect(await found(subjects.journal(1), 1)).toBeUndefined();
      await log.purge(journal, 5);
      expect(await found(journal, 1)).toEqual([journal, 5, 'c']);
    });

    it('lastSeq is the stream’s, 0 when it is empty', async () => {
      expect(await log.lastSeq()).toBe(0);
      await stored(log, [entry(journal, 'a'), entry(subjects.out(0), 'b')]);
      expect(await log.lastSeq()).toBe(2);
    });

    it('purge removes what is below the sequence, on that subject only', async () => {
      for (const word of ['a', 'b', 'c'])
        await stored(log, [entry(journal, word), entry(subjects.out(0), word)]);
      await log.purge(journal, 5);
      expect((await all(log, journal)).map(text)).toEqual(['c']);
      expect((await all(log, subjects.out(0))).map(text)).toEqual(['a', 'b', 'c']);
      expect(await log.lastSeq()).toBe(6);
      await stored(log, [entry(journal, 'd', 5)]);
    });

    it('purge below the first sequence removes nothing', async () => {
      await stored(log, [entry(journal, 'a'), entry(journal, 'b')]);
      await log.purge(journal, 1);
      expect((await all(log, journal)).map(text)).toEqual(['a', 'b']);
      await log.purge(journal, 0);
      expect((await all(log, journal)).map(text)).toEqual(['a', 'b']);
    });

    it('a subject purged to its end is empty again: its expectation is 0', async () => {
      await stored(log, [entry(journal, 'a'), entry(subjects.out(0), 'b')]);
      await log.purge(journal, 3);
      expect(await log.last(journal)).toBeUndefined();
      expect(await stored(log, [entry(journal, 'c', 0)])).toBe(3);
    });

    it('readToEnd gives all from a sequence to the last there is, and ends', async () => {
      expect(await all(log, journal)).toEqual([]);
      await stored(log, [entry(journal, 'a'), entry(subjects.out(0), 'x'), entry(journal, 'b')]);
      expect((await all(log, journal)).map(text)).toEqual(['a', 'b']);
      expect((await all(log, journal, 2)).map(text)).toEqual(['b']);
      expect(await all(log, journal, 4)).toEqual([]);
    });

    it('readToEnd does not run after a log that grows', async () => {
      await stored(log, [entry(journal, 'a'), entry(journal, 'b')]);
      const seen: string[] = [];
      for await (const message of readToEnd(log, journal, 1)) {
        seen.push(text(message));
        await stored(log, [entry(journal, 'more')]);
      }
      expect(seen).toEqual(['a', 'b']);
    });
  });
}
