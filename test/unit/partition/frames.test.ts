// Hunts: a row, a state or a message lost where a frame is split; a frame that the server refuses; a half taken for the whole.
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/core/bytes.js';
import type { Row } from '../../../src/actor/row.js';
import { GroundswellError } from '../../../src/core/errors.js';
import { actorId } from '../../../src/core/ids.js';
import { Changes, type ActorChange } from '../../../src/partition/changes.js';
import {
  decodeEventFrame,
  decodeMailFrame,
  encodeEventFrame,
  encodeMailFrame,
  FRAME_EVENTS_MAX,
  type EventFrame,
} from '../../../src/partition/frame.js';
import {
  decodeControl,
  encodeControl,
  encodeJournalEntry,
  JournalReader,
  type Control,
} from '../../../src/partition/journal.js';
import {
  decodeOutput,
  encodeOutput,
  type Progress,
  type ShownBlock,
  type SideOutput,
} from '../../../src/partition/output.js';
import { countRows, RowBlock, RowBlocks, rowsOf, splitBlock } from '../../../src/partition/row-block.js';

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(GroundswellError);
    return `${(error as GroundswellError).code}: ${(error as Error).message}`;
  }
  return 'not refused';
};
const time = fc.integer({ min: 0, max: 2 ** 42 });

describe('event and mail frames', () => {
  it('an event frame comes back as it was', () => {
    const event = fc
      .record(
        {
          type: fc.constantFrom('driver.location', 'ride.requested'),
          ts: time,
          id: fc.string(),
          // msgpack does not tell -0 from 0.
          lat: fc.double({ noNaN: true }).map((x) => x + 0),
          note: fc.string({ unit: 'grapheme' }),
          more: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.integer(), { noNullPrototype: true }),
        },
        { requiredKeys: ['type', 'ts'], noNullPrototype: true },
      )
      .map((e) => ({ ...e }));
    const frame: fc.Arbitrary<EventFrame> = fc.record({
      producer: fc.string(),
      mode: fc.constantFrom('live' as const, 'replay' as const),
      seq: fc.nat(),
      watermarkMs: time,
      end: fc.boolean(),
      events: fc.array(event, { maxLength: 8 }),
    });
    fc.assert(
      fc.property(frame, (each) => {
        expect(decodeEventFrame(encodeEventFrame(each))).toEqual(each);
      }),
    );
  });

  it('a frame stands alone: it can be read without the frames before it', () => {
    const frames = ['a', 'b'].map((producer): EventFrame => {
      const events = [{ type: 'session.opened', ts: 1, riderId: producer }];
      return { producer, mode: 'live', seq: 0, watermarkMs: 1, end: false, events };
    });
    const encoded = frames.map(encodeEventFrame);
    expect(decodeEventFrame(encoded[1]!)).toEqual(frames[1]);
    expect(decodeEventFrame(encoded[0]!)).toEqual(frames[0]);
  });

  it('a mail frame comes back as it was, shares apart', () => {
    const share = fc.record({
      from: fc.nat(200),
      marks: fc.array(time, { maxLength: 5 }),
      messages: fc.array(
        fc.tuple(fc.string(), fc.string(), fc.string(), time, fc.oneof(fc.integer(), fc.array(fc.integer()))),
      ),
    });
    fc.assert(
      fc.property(fc.array(share, { maxLength: 4 }), (shares) => {
        expect(decodeMailFrame(encodeMailFrame(shares))).toEqual(shares);
      }),
    );
  });

  it('P8 a frame that says it holds more events than one may is refused, however few bytes it has', () => {
    const events = Array.from({ length: FRAME_EVENTS_MAX + 1 }, () => ({ type: 'session.opened', ts: 1 }));
    const frame = { producer: 'p', mode: 'live', seq: 0, watermarkMs: 1, end: false } as const;
    const bytes = encodeEventFrame({ ...frame, events });
    expect(bytes.byteLength).toBeLessThan(100);
    expect(() => decodeEventFrame(bytes)).toThrow(`${events.length}`);
    expect(decodeEventFrame(encodeEventFrame({ ...frame, events: events.slice(1) })).events).toHaveLength(
      FRAME_EVENTS_MAX,
    );
  });

  it('a frame of another format is refused, naming it', () => {
    const frame = new ByteWriter().uint(99).text('whatever it may hold').take();
    expect(() => decodeEventFrame(frame)).toThrow('99');
    expect(() => decodeMailFrame(frame)).toThrow('99');
    const packr = new Packr({ useRecords: true });
    expect(() => decodeOutput(packr.pack([99, null, [], [], []]))).toThrow('99');
  });
});

const control: Control = {
  writer: 'node-1',
  commit: 17,
  inputSeq: 123_456,
  watermarkMs: 1_700_000_000_000,
  producers: new Map([
    ['replay:a', { mode: 'replay', seq: 5, watermarkMs: 1_700_000_000_000, ended: true, heardAtMs: 17 }],
    ['http', { mode: 'live', seq: 0, watermarkMs: Number.MIN_SAFE_INTEGER, ended: false, heardAtMs: 18 }],
  ]),
  marks: [1, 2, 3, 4],
  closed: [1_700_000_000_000, 60_000],
  counters: new Map([['late', 3]]),
  wallMs: 0,
  epoch: 1,
  handedTo: undefined,
  base: undefined,
};

describe('journal entries', () => {
  const change = fc.record({
    key: fc.string({ unit: fc.constantFrom('d', '7', 'é', '司', '😀'), maxLength: 40 }),
    size: fc.option(fc.nat(300), { nil: undefined }),
    timed: fc.boolean(),
  });
  const changes = fc.array(change, { maxLength: 60 }).map((list) =>
    list.map(({ key, size, timed }): ActorChange => ({
      id: actorId('driver', key),
      bytes: size === undefined ? undefined : new Uint8Array(size).fill(size),
      timed: timed && size !== undefined,
    })),
  );
  const plain = (list: readonly ActorChange[]): unknown =>
    list.map(({ id, bytes, timed }) => [id, bytes === undefined ? undefined : [...bytes], timed]);

  it('the control record comes back as it was', () => {
    expect(decodeControl(encodeControl(control))).toEqual(control);
  });

  it('a journal of before, its head in msgpack, is read', () => {
    const { writer, commit, inputSeq, watermarkMs, marks, closed, counters, wallMs, epoch } = control;
    const producers = [...control.producers].map(([id, { mode, ...p }]) => [
      ...[id, mode === 'live' ? 0 : 1, p.seq, p.watermarkMs, p.ended, p.heardAtMs],
    ]);
    const stored = [writer, commit, inputSeq, watermarkMs, producers, marks, closed, [...counters], wallMs];
    const packr = new Packr({ useRecords: false });
    const frame = (part: number, key: string): Uint8Array => {
      const head = packr.pack([part, 2, part === 0 ? [...stored, epoch, null, null] : null]);
      const change = { id: actorId('driver', key), bytes: new Uint8Array(30), timed: true };
      const changes = Changes.of([change]);
      return new ByteWriter().uint(3).bytes(head).raw(changes.bytesOf(0, 1)).take();
    };
    const reader = new JournalReader();
    expect(reader.push(frame(0, 'a'))).toBeUndefined();
    const entry = reader.push(frame(1, 'b'))!;
    expect(entry.control).toEqual(control);
    expect(entry.changes.map(({ id }) => id)).toEqual(['driver/a', 'driver/b']);
  });

  it('P8 marks of many partitions take little while most of them are the same', () => {
    const marks = new Array<number>(5 * 256).fill(1_700_000_000_000);
    const [frame] = encodeJournalEntry({ control: { ...control, marks }, changes: Changes.of([]) }, 1_000);
    expect(frame!.byteLength).toBeLessThan(300);
    expect(new JournalReader().push(frame!)!.control.marks).toEqual(marks);
  });

  it('P2 P8 an entry of any size comes back whole from its last frame, and no frame is over the limit', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 800, max: 4_000 }), (list, frameBytesMax) => {
        const frames = encodeJournalEntry({ control, changes: Changes.of(list) }, frameBytesMax);
        for (const frame of frames) expect(frame.byteLength).toBeLessThanOrEqual(frameBytesMax);
        const reader = new JournalReader();
        for (const frame of frames.slice(0, -1)) expect(reader.push(frame)).toBeUndefined();
        const entry = reader.push(frames.at(-1)!)!;
        expect(entry.control).toEqual(control);
        expect(plain(entry.changes)).toEqual(plain(list));
      }),
      { numRuns: 300 },
    );
  });

  it('P8 an id is counted in bytes, not in characters', () => {
    const list = Array.from({ length: 200 }, (_, i): ActorChange => ({
      id: actorId('driver', `${'司机'.repeat(12)}${i}`),
      bytes: new Uint8Array(30),
      timed: false,
    }));
    const frames = encodeJournalEntry({ control, changes: Changes.of(list) }, 2_000);
    expect(Math.max(...frames.map((frame) => frame.byteLength))).toBeLessThanOrEqual(2_000);
  });

  it('a reader goes from entry to entry', () => {
    const list = Array.from({ length: 30 }, (_, i): ActorChange => ({
      id: actorId('driver', `${i}`),
      bytes: new Uint8Array(100),
      timed: false,
    }));
    const reader = new JournalReader();
    const read = [1, 2, 3].flatMap((commit) =>
      encodeJournalEntry(
        { control: { ...control, commit }, changes: Changes.of(list.slice(commit)) },
        1_000,
      ).flatMap((frame) => reader.push(frame) ?? []),
    );
    expect(read.map((entry) => [entry.control.commit, entry.changes.length])).toEqual([
      [1, 29],
      [2, 28],
      [3, 27],
    ]);
  });

  it('P8 an actor whose record alone is over the limit is GS_FRAME_TOO_LARGE, naming it', () => {
    const large = { id: actorId('driver', 'd-huge'), bytes: new Uint8Array(5_000), timed: false };
    const code = codeOf(() => encodeJournalEntry({ control, changes: Changes.of([large]) }, 4_000));
    expect(code).toMatch(/^GS_FRAME_TOO_LARGE.*driver\/d-huge.*4000/);
  });

  it('P2 an entry that begins in its middle, or misses a frame, is GS_STREAM_LOST', () => {
    const list = Array.from({ length: 30 }, (_, i): ActorChange => ({
      id: actorId('driver', `${i}`),
      bytes: new Uint8Array(100),
      timed: false,
    }));
    const frames = encodeJournalEntry({ control, changes: Changes.of(list) }, 1_000);
    expect(frames.length).toBeGreaterThan(2);
    expect(codeOf(() => new JournalReader().push(frames[1]!))).toMatch(/^GS_STREAM_LOST/);
    const reader = new JournalReader();
    reader.push(frames[0]!);
    expect(codeOf(() => reader.push(frames[2]!))).toMatch(/^GS_STREAM_LOST/);
    // After a whole entry of one frame, the second frame of another entry does not go on with it.
    const after = new JournalReader();
    after.push(encodeJournalEntry({ control, changes: Changes.of([]) }, 1_000)[0]!);
    expect(codeOf(() => after.push(frames[1]!))).toMatch(/^GS_STREAM_LOST/);
  });

  it('an entry of a newer format is GS_DATA_NEWER', () => {
    const frame = new ByteWriter().uint(99).text('whatever it may hold').take();
    expect(codeOf(() => new JournalReader().push(frame))).toMatch(/^GS_DATA_NEWER/);
  });
});

describe('output frames', () => {
  const progress: Progress = {
    partition: 3,
    commit: 9,
    watermarkMs: 1_700_000_000_000,
    closed: [1, 2],
    latestTimerMs: 0,
    counters: { late: 2 },
  };
  const row = fc
    .record({
      key: fc.string({ maxLength: 6 }),
      level: fc.constantFrom('cell', 'gh5', 'region'),
      sizeMs: fc.constantFrom(60_000, 300_000),
      end: time,
      rev: fc.nat(3),
      final: fc.boolean(),
      features: fc.constantFrom(
        { requests: 1 },
        { requests: 2, open_s: 0.5 },
        { open_s: 0.5, requests: 3 },
        {},
      ),
      children: fc.option(fc.nat(9), { nil: undefined }),
      raw: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: undefined }),
    })
    .map(({ key, level, sizeMs, end, rev, final, features, children, raw }): Row => ({
      region: 'sf',
      level,
      key,
      window: `${sizeMs / 60_000}m`,
      start: end - sizeMs,
      end,
      rev,
      final,
      features,
      ...(raw === undefined ? {} : { surge: { multiplier: 1.5, raw, model: 'm@1' } }),
      watermark: end + 1,
      completeness: { expected: 4, reported: 4, ...(children === undefined ? {} : { children }) },
    }));
  const side = fc.record({
    kind: fc.constantFrom('late' as const, 'dead' as const),
    type: fc.constant('ride.requested'),
    body: fc.string({ maxLength: 30 }),
  });
  const shownValues = fc.tuple(fc.string({ maxLength: 12 }), fc.integer(), fc.integer());
  const blocksOf = (rows: readonly Row[]): RowBlock[] => {
    const blocks = new RowBlocks();
    for (const each of rows) blocks.add(each);
    expect(blocks.count).toBe(rows.length);
    return blocks.take();
  };
  const sorted = (list: readonly unknown[]): string[] => list.map((each) => JSON.stringify(each)).sort();

  it('P2 P8 every row and side output is in the frames once; progress stands in the last only; none is over the limit', () => {
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 40 }),
        fc.array(side, { maxLength: 10 }),
        fc.array(shownValues, { maxLength: 40 }),
        fc.integer({ min: 700, max: 5_000 }),
        (rows, sides, values, frameBytesMax) => {
          const shown: ShownBlock[] = [
            [
              'live',
              ['open', 'busy'],
              values.map(([key]) => key),
              values.flatMap(([, ...numbers]) => numbers),
            ],
          ];
          const frames = encodeOutput({ progress, blocks: blocksOf(rows), sides, shown }, frameBytesMax);
          for (const frame of frames) expect(frame.byteLength).toBeLessThanOrEqual(frameBytesMax);
          const read = frames.map(decodeOutput);
          expect(sorted(read.flatMap((frame) => frame.rows))).toEqual(sorted(rows));
          expect(read.flatMap((frame) => frame.sides)).toEqual(sides);
          expect(
            read
              .flatMap((frame) => frame.shown)
              .flatMap(([, , keys, numbers]) =>
                keys.map((key, i) => [key, numbers[2 * i], numbers[2 * i + 1]]),
              ),
          ).toEqual(values);
          expect(read.map((frame) => frame.progress)).toEqual([
            ...new Array<null>(frames.length - 1).fill(null),
            progress,
          ]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('rows of any mixture come back from their blocks as they were, field for field', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
        expect(sorted(rowsOf(blocksOf(rows)))).toEqual(sorted(rows));
      }),
    );
  });

  it('a frame whose rows are damaged still says its progress; whoever asks for the rows gets an error', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const [{ kind, count, firstEndMs, bytes }] = blocksOf([one!, { ...one!, key: 'other' }]) as [RowBlock];
    const damaged: [RowBlock, string][] = [
      [new RowBlock(kind, count, firstEndMs, bytes.subarray(0, -1)), 'the bytes end within'],
      [new RowBlock(kind, count - 1, firstEndMs, bytes), 'more than its 1 rows'],
      [new RowBlock(kind, 1_000_000, firstEndMs, bytes), 'cannot hold 1000000 rows'],
    ];
    for (const [block, says] of damaged) {
      const [frame] = encodeOutput({ progress, blocks: [block], sides: [], shown: [] }, 5_000);
      const read = decodeOutput(frame!);
      expect(read.progress).toEqual(progress);
      expect(() => read.rows).toThrow(says);
    }
  });

  it('a row that is not taken leaves nothing behind', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const blocks = new RowBlocks();
    blocks.add(one!);
    for (const [wrong, says] of [
      [{ ...one!, key: 7 }, 'string'],
      [{ ...one!, features: { requests: 1n } }, '"requests" is 1, which is no finite number'],
    ] as unknown as [Row, string][])
      expect(() => {
        blocks.add(wrong);
      }).toThrow(says);
    blocks.add(one!);
    expect([rowsOf(blocks.take()).length, blocks.count]).toEqual([2, 0]);
  });

  it('the halves of a block are its rows, in order; rows after a time are counted without making them', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 40 }), time, (rows, afterMs) => {
        for (const block of blocksOf(rows)) {
          const all = rowsOf([block]);
          if (all.length > 1) expect(rowsOf(splitBlock(block))).toEqual(all);
          expect(countRows(block, afterMs)).toBe(all.filter(({ end }) => end > afterMs).length);
        }
      }),
    );
  });

  it('a row that stands for some after it is read as all of them, counted and halved as such', () => {
    const about = { region: 'sf', watermark: 9e12, final: true, expected: 4, reported: 4 };
    const repeated = fc.record({
      one: row,
      times: fc.nat(40),
      everyMs: fc.integer({ min: 1, max: 3_600_000 }),
    });
    fc.assert(
      fc.property(fc.array(repeated, { minLength: 1, maxLength: 20 }), time, (list, afterMs) => {
        const blocks = new RowBlocks();
        for (const { one, times, everyMs } of list)
          blocks.emit({ ...one, children: one.completeness.children, repeats: { times, everyMs } }, about);
        const expected = list.flatMap(({ one, times, everyMs }) =>
          Array.from({ length: times + 1 }, (_, i) => {
            const { children } = one.completeness;
            const completeness = {
              expected: 4,
              reported: 4,
              ...(children === undefined ? {} : { children }),
            };
            const at = { start: one.start + i * everyMs, end: one.end + i * everyMs };
            return { ...one, ...at, final: true, watermark: 9e12, completeness };
          }),
        );
        expect(blocks.count).toBe(expected.length);
        const taken = blocks.take();
        const frames = encodeOutput({ progress, blocks: taken, sides: [], shown: [] }, 2_000).map(
          decodeOutput,
        );
        expect(sorted(frames.flatMap((frame) => frame.rows))).toEqual(sorted(expected));
        expect(taken.reduce((sum, block) => sum + countRows(block, afterMs), 0)).toBe(
          expected.filter(({ end }) => end > afterMs).length,
        );
      }),
    );
  });

  it('P8 a block ends before its rows are too many to be read at once, however few bytes they take', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const blocks = new RowBlocks();
    const about = { region: 'sf', watermark: 0, final: true, expected: 4, reported: 4 };
    const repeats = { times: 999, everyMs: 60_000 };
    for (let i = 0; i < 20; i++) blocks.emit({ ...one!, children: undefined, repeats }, about);
    const taken = blocks.take();
    expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
    expect(Math.max(...taken.map(({ count }) => count))).toBeLessThan(6_000);
  });

  it.each([-1, 1.5, 1_001, Number.NaN, '2'])('a row cannot be repeated %s times', (times) => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const about = { region: 'sf', watermark: 0, final: true, expected: 4, reported: 4 };
    const repeats = { times: times as number, everyMs: 60_000 };
    expect(codeOf(() => new RowBlocks().emit({ ...one!, repeats }, about))).toMatch(
      /^GS_BEHAVIOUR.*repeated/,
    );
  });

  it('a block that says that a row stands for more than its rows is damaged', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const blocks = new RowBlocks();
    const about = { region: 'sf', watermark: 0, final: true, expected: 4, reported: 4 };
    blocks.emit({ ...one!, children: undefined, repeats: { times: 5, everyMs: 60_000 } }, about);
    const [{ kind, count, firstEndMs, bytes }] = blocks.take() as [RowBlock];
    expect(count).toBe(6);
    expect(() => new RowBlock(kind, 5, firstEndMs, bytes).keys).toThrow('more than its 5 rows');
    expect(() => new RowBlock(kind, 7, firstEndMs, bytes).keys).toThrow('the bytes end within');
  });

  it('a block of before that was limited by its bytes alone is read, however many rows it has', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const [{ kind }] = blocksOf([{ ...one!, features: {} }]) as [RowBlock];
    const bare = { ...kind, names: [], model: null, hasChildren: false };
    const writer = new ByteWriter();
    for (let i = 0; i < 9_000; i++) writer.text('k').uint(0);
    expect(new RowBlock(bare, 9_000, 0, writer.take()).keys).toHaveLength(9_000);
  });

  it('outputs of before rows were repeated are read', () => {
    const [frame] = encodeOutput({ progress, blocks: [], sides: [], shown: [] }, 5_000);
    const before = frame!.slice();
    // The version stands behind the list's own byte.
    expect(before[1]).toBe(4);
    before[1] = 3;
    expect(decodeOutput(before).progress).toEqual(progress);
    before[1] = 2;
    expect(() => decodeOutput(before)).toThrow('output format 2 is not known here');
  });

  it('revisions of one row keep their order', () => {
    const [one] = fc.sample(row, { numRuns: 1, seed: 1 });
    const rows = Array.from({ length: 200 }, (_, rev) => ({ ...one!, rev }));
    const frames = encodeOutput({ progress, blocks: blocksOf(rows), sides: [], shown: [] }, 500);
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.flatMap((frame) => decodeOutput(frame).rows).map(({ rev }) => rev)).toEqual(
      rows.map(({ rev }) => rev),
    );
  });

  it('P8 a row or side output that alone is over the limit is GS_FRAME_TOO_LARGE, naming it', () => {
    const huge: SideOutput = { kind: 'dead', type: 'ride.requested', body: 'x'.repeat(2_000) };
    expect(codeOf(() => encodeOutput({ progress, blocks: [], sides: [huge], shown: [] }, 1_000))).toMatch(
      /^GS_FRAME_TOO_LARGE.*dead\.ride\.requested/,
    );
  });
});
