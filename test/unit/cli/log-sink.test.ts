/**
 * The way out of log lines. Hunts: a slow reader that stops the node or fills its memory, lines that overtake each other,
 * and lost lines that nobody hears of (P8).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogSink } from '../../../src/cli/log-sink.js';
import { VirtualClock } from '../../../src/core/clock.js';

const fault = (code: string): Error => Object.assign(new Error(code), { code });

/** A descriptor that takes what it is told to take. */
class Descriptor {
  text = '';
  /** Bytes it takes at a time; 0: it takes none now. */
  room = Number.POSITIVE_INFINITY;
  error: Error | undefined;
  calls = 0;
  readonly write = (bytes: Uint8Array): number => {
    this.calls++;
    if (this.error !== undefined) throw this.error;
    if (this.room === 0) throw fault('EAGAIN');
    const taken = Buffer.from(bytes).subarray(0, this.room);
    this.text += taken.toString('latin1');
    return taken.byteLength;
  };
}

function setUp(waitingBytesMax = 100) {
  const to = new Descriptor();
  const clock = new VirtualClock();
  const sink = new LogSink({ clock, write: to.write, waitingBytesMax });
  const told: number[] = [];
  sink.onDropped((lines) => {
    told.push(lines);
    sink.write(`dropped ${lines}\n`);
  });
  return { to, clock, sink, told };
}

describe('a line', () => {
  it('is out when write returns', () => {
    const { to, sink } = setUp();
    sink.write('one\n');
    expect(to.text).toBe('one\n');
  });

  it('waits for a reader that takes none, and comes in its turn', () => {
    const { to, clock, sink } = setUp();
    to.room = 0;
    sink.write('one\n');
    sink.write('two\n');
    expect(to.text).toBe('');
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    expect(to.text).toBe('one\ntwo\n');
  });

  it('is whole though it is taken in bits: any sizes, any order of stalls', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 40 }), (rooms) => {
        const { to, clock, sink } = setUp(1e6);
        rooms.forEach((room, i) => {
          to.room = room;
          sink.write(`line ${i}\n`);
          if (i % 3 === 0) clock.advance(20);
        });
        to.room = 1;
        clock.advance(10_000);
        expect(to.text).toBe(rooms.map((_, i) => `line ${i}\n`).join(''));
      }),
    );
  });

  it('over the limit is dropped and counted, and the count is told once lines go out again', () => {
    const { to, clock, sink, told } = setUp(10);
    to.room = 0;
    for (let i = 0; i < 5; i++) sink.write(`line ${i}\n`);
    expect(sink.dropped).toBe(4);
    to.room = Number.POSITIVE_INFINITY;
    clock.advance(20);
    expect(to.text).toBe('line 0\ndropped 4\n');
    expect(told).toEqual([4]);
    expect(sink.dropped).toBe(0);
  });

  it('that is longer than the limit goes out where nothing waits', () => {
    const { to, sink } = setUp(10);
    sink.write('a line that is longer\n');
    expect(to.text).toBe('a line that is longer\n');
  });
});

describe('a reader', () => {
  it('that takes nothing for long loses what waits, and no timer stays', () => {
    const { to, clock, sink, told } = setUp();
    to.room = 0;
    sink.write('one\n');
    clock.advance(60_000);
    const { calls } = to;
    clock.advance(60_000);
    expect(to.calls).toBe(calls);
    to.room = Number.POSITIVE_INFINITY;
    sink.write('two\n');
    expect(to.text).toBe('two\ndropped 1\n');
    expect(told).toEqual([1]);
  });

  it.each(['EPIPE', 'EBADF', 'EIO'])('that is gone (%s) is not asked again', (code) => {
    const { to, clock, sink } = setUp();
    to.error = fault(code);
    sink.write('one\n');
    sink.write('two\n');
    sink.flush();
    clock.advance(60_000);
    expect(to.calls).toBe(1);
  });

  it('without room on its disk costs that line, and is told of later', () => {
    const { to, sink, told } = setUp();
    to.error = fault('ENOSPC');
    sink.write('one\n');
    sink.write('two\n');
    expect(told).toEqual([]);
    to.error = undefined;
    sink.write('three\n');
    expect(to.text).toBe('three\ndropped 2\n');
  });
});

describe('flush', () => {
  it('writes what waits, though it is taken in bits', () => {
    const { to, sink } = setUp();
    to.room = 0;
    sink.write('one\n');
    to.room = 2;
    sink.flush();
    expect(to.text).toBe('one\n');
  });

  it('does not wait for ever', () => {
    const to = new Descriptor();
    to.room = 0;
    // Half a second passes at each look at the clock.
    let nowMs = 0;
    const clock = { now: () => 0 as never, monotonic: () => (nowMs += 250), after: () => () => undefined };
    const sink = new LogSink({ clock, write: to.write });
    sink.write('one\n');
    sink.flush();
    expect(to.calls).toBeLessThan(6);
  });
});
