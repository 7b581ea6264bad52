// Hunts: somebody who hears what was said later than what it has not read yet; a wait for mail that never ends.
import { describe, expect, it } from 'vitest';
import { LocalMail } from '../../../src/node/local-mail.js';
import type { OwnedPartition } from '../../../src/node/owned-partition.js';

/** A partition that notes whom it hears. */
function partition(id: number, parts: { inputSeq?: number; careful?: boolean } = {}) {
  const heard: number[] = [];
  const core = {
    partition: id,
    inputSeq: 0,
    careful: false,
    ...parts,
    marks: [0, 0],
    hear: (others: { partition: number }[]) => heard.push(...others.map((from) => from.partition)) > 0,
  };
  return { heard, core, owned: { partition: core } as unknown as OwnedPartition };
}

function setUp(pipeline: { held?: number[]; flying?: number[] } = {}) {
  const mail = new LocalMail({
    holds: (id) => pipeline.held?.includes(id) === true,
    carriesMailTo: (id) => pipeline.flying?.includes(id) === true,
  });
  return { mail, at: (seq: number) => Promise.resolve({ seq } as never) };
}

describe('LocalMail', () => {
  it('all hear all, and what they have said to themselves', () => {
    const { mail } = setUp();
    const all = [partition(0), partition(1)];
    expect(
      all.map(({ owned }) =>
        mail.exchange(
          owned,
          all.map((one) => one.owned),
        ),
      ),
    ).toEqual([true, true]);
    expect(all.map(({ heard }) => heard)).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  it('nobody hears anything before it has read what is in the stream for it', async () => {
    const { mail, at } = setUp();
    const [to, from] = [partition(0, { inputSeq: 4 }), partition(1)];
    const all = [to.owned, from.owned];
    await mail.begin(0, () => at(5));
    await mail.begin(1, () => Promise.resolve(undefined));
    expect([mail.exchange(to.owned, all), mail.isReading(all)]).toEqual([false, true]);
    to.core.inputSeq = 5;
    expect([mail.exchange(to.owned, all), mail.isReading(all)]).toEqual([true, false]);
    mail.isStored(0, 9);
    expect([mail.exchange(to.owned, all), mail.isReading(all)]).toEqual([false, true]);
  });

  it('one that begins looks at the mail to all that are here, or about to be', async () => {
    const { mail } = setUp();
    const looked: number[] = [];
    const last = (to: number): Promise<undefined> => {
      looked.push(to);
      return Promise.resolve(undefined);
    };
    await mail.begin(3, last);
    await mail.begin(5, last);
    mail.end(3);
    await mail.begin(6, last);
    expect(looked).toEqual([3, 3, 5, 5, 6]);
  });

  it('mail on its way, a commit that is held, and failing calls keep partitions apart', () => {
    const all = [partition(0), partition(1), partition(2), partition(3, { careful: true })];
    const { mail } = setUp({ held: [1], flying: [2] });
    const owned = all.map((one) => one.owned);
    for (const one of owned) mail.exchange(one, owned);
    expect(all.map(({ heard }) => heard)).toEqual([[0, 2], [], [], []]);
  });

  it('what is said lets somebody close when the slowest has given a mark since all heard each other', () => {
    const { mail } = setUp();
    const [slow, fast] = [partition(0), partition(1)];
    const all = [slow.owned, fast.owned];
    mail.exchanged(all);
    fast.core.marks = [60_000, 0];
    expect(mail.letsClose(all)).toBe(false);
    slow.core.marks = [60_000, 0];
    expect([mail.letsClose(all), mail.letsClose(all)]).toEqual([true, true]);
    mail.exchanged(all);
    expect(mail.letsClose(all)).toBe(false);
  });

  it('nobody waits for one that is by itself', () => {
    const { mail } = setUp();
    mail.isStored(0, 5);
    expect(mail.isReading([partition(0, { careful: true }).owned])).toBe(false);
  });
});
