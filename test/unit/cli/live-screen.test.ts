/**
 * The terminal's live view. Hunts lines that are wider or more than the terminal holds (they break the next repaint),
 * repainting that never rests, a terminal left without its cursor, and control characters in a pipe.
 */
import { stripVTControlCharacters } from 'node:util';
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { cut, pictureLines, type LivePicture } from '../../../src/cli/live-picture.js';
import { LiveScreen, type Terminal } from '../../../src/cli/live-screen.js';
import { sparkline } from '../../../src/cli/sparkline.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { cell, row, T0 } from './fake-node.js';

const plain = createColors(false);
const colored = createColors(true);

const picture = (over: Partial<LivePicture> = {}): LivePicture => ({
  region: 'sf',
  timezone: 'America/Los_Angeles',
  watermark: T0,
  total: row({
    level: 'region',
    key: 'sf',
    features: { requests: 123, open_end: 640, busy_s: 52_000, drivers: 1_950 },
  }),
  liveTotal: { minute: T0, requests: 41, open: 633 },
  topCells: Array.from({ length: 20 }, (_, i) => cell({ key: `9q8yy${i % 10}`, multiplier: 3 - i / 10 })),
  throughput: 64_573.2,
  latencyMs: { p50: 12, p99: 48 },
  lagMs: 120,
  address: 'http://127.0.0.1:7380',
  ...over,
});

class FakeTerminal extends EventEmitter implements Terminal {
  isTTY = true;
  columns = 80;
  rows = 24;
  written = '';
  writes = 0;

  write(text: string): boolean {
    this.written += text;
    this.writes++;
    return true;
  }

  /** How often a picture was painted. */
  get frames(): number {
    return this.written.split('events/s').length - 1;
  }
}

describe('the picture', () => {
  it('shows the region, its cells with the highest first, rates and the address', () => {
    const text = pictureLines(picture(), { columns: 80, rows: 23 }, plain).join('\n');
    expect(text).toContain('sf  final up to 2026-03-02 08:41:00 PST (16:41:00 UTC)');
    expect(text).toMatch(/08:40 +123 +640 /);
    expect(text).toMatch(/now +41 +633 /);
    expect(text.indexOf('9q8yy0  × 3.0')).toBeLessThan(text.indexOf('9q8yy1  × 2.9'));
    expect(text).toContain('64,573 events/s  ·  commits p50 12 ms, p99 48 ms  ·  lag 120 ms');
    expect(text).toContain('http://127.0.0.1:7380  Ctrl-C to end');
  });

  it('says so when there is nothing yet', () => {
    const empty: LivePicture = { region: 'sf', timezone: 'UTC', topCells: [], watermark: 0, total: null };
    const text = pictureLines(empty, { columns: 80, rows: 23 }, plain).join('\n');
    expect(text).toContain('no minute is final yet');
    expect(text).toContain('no cell has a surge multiplier yet');
    expect(text).toContain('Ctrl-C to end');
  });

  it('fits every terminal, in colour or not, and its colours end with their line', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 40 }),
        fc.array(fc.string({ unit: 'binary-ascii' }), { maxLength: 5 }),
        fc.boolean(),
        (columns, rows, cells, notes, color) => {
          const topCells = Array.from({ length: cells }, (_, i) => cell({ multiplier: 1 + i / 10 }));
          const lines = pictureLines(
            picture({ topCells, notes }),
            { columns, rows },
            color ? colored : plain,
          );
          expect(lines.length).toBeLessThanOrEqual(rows);
          for (const line of lines) {
            expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(columns);
            if (!color) expect(line).not.toContain('\u001b');
          }
        },
      ),
    );
  });

  it('fills a high terminal with cells and leaves the foot where it is', () => {
    expect(pictureLines(picture(), { columns: 80, rows: 39 }, plain).join('\n')).toContain('× 1.1');
    for (const rows of [12, 23, 39])
      expect(pictureLines(picture(), { columns: 80, rows }, plain).at(-1)).toContain('Ctrl-C to end');
  });
});

describe('a line that is cut', () => {
  it('keeps its colours and loses its end', () => {
    expect(cut(colored.red('abcdef'), 4)).toBe('\u001b[31mabc\u001b[39m…');
    expect(cut('abcdef', 6)).toBe('abcdef');
    expect(cut('abcdef', 0)).toBe('');
  });
});

describe('a sparkline', () => {
  it('has the newest minute at the right, and a gap where there is none', () => {
    expect(sparkline([1, null, 3], 5)).toBe('  ▁ █');
    expect(sparkline([3, 1, 2], 2)).toHaveLength(2);
    expect(sparkline([], 3)).toBe('   ');
    expect(sparkline([1], 0)).toBe('');
  });

  it('is low for a calm cell, whatever its neighbours', () => {
    expect(sparkline([1, 1, 1.1], 3)).toBe('▁▁▁');
  });
});

describe('the screen', () => {
  const open = (): { terminal: FakeTerminal; clock: VirtualClock; screen: LiveScreen } => {
    const terminal = new FakeTerminal();
    const clock = new VirtualClock(1);
    return { terminal, clock, screen: new LiveScreen({ terminal, clock, paint: plain }) };
  };

  it('paints at most four times a second, and the newest in the end', () => {
    const { terminal, clock, screen } = open();
    for (let i = 0; i < 1_000; i++) {
      screen.update(picture({ throughput: i }));
      clock.advance(1);
    }
    expect(terminal.frames).toBeLessThanOrEqual(5);
    expect(terminal.frames).toBeGreaterThanOrEqual(4);
    clock.advance(250);
    expect(terminal.written.split('\u001b[?2026h').at(-1)).toContain('999 events/s');
    const { frames } = terminal;
    clock.advance(10_000);
    expect(terminal.frames).toBe(frames);
    screen.close();
  });

  it('hides the cursor while it paints, and gives it back once', () => {
    const { terminal, screen } = open();
    screen.update(picture());
    expect(terminal.written).toContain('\u001b[?25l');
    screen.close();
    screen.close();
    expect(terminal.written.split('\u001b[?25h')).toHaveLength(2);
    expect(terminal.written.endsWith('\u001b[?25h')).toBe(true);
    expect(terminal.listenerCount('resize')).toBe(0);
  });

  it('gives the cursor back when the process ends on the way', () => {
    const before = process.listeners('exit');
    const { terminal, screen } = open();
    screen.update(picture());
    const [atExit] = process.listeners('exit').filter((listener) => !before.includes(listener));
    (atExit as () => void)();
    expect(terminal.written.endsWith('\u001b[?25h')).toBe(true);
    screen.close();
    expect(process.listeners('exit')).toEqual(before);
  });

  it('leaves the last picture standing, also one that waited to be painted', () => {
    const { terminal, screen } = open();
    screen.update(picture({ throughput: 1 }));
    screen.update(picture({ throughput: 2 }));
    screen.close();
    expect(terminal.written.split('\u001b[?2026h').at(-1)).toContain(' 2 events/s');
    const { written } = terminal;
    screen.update(picture({ throughput: 3 }));
    expect(terminal.written).toBe(written);
  });

  it('paints anew at once when the terminal changes its size', () => {
    const { terminal, screen } = open();
    screen.update(picture());
    terminal.columns = 40;
    terminal.rows = 12;
    terminal.emit('resize');
    const last = terminal.written.split('\u001b[2J\u001b[H').at(-1)!;
    const lines = stripVTControlCharacters(last).split('\n');
    expect(lines.length).toBeLessThanOrEqual(12);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
    screen.close();
  });

  it('takes a usual size for a terminal that says it has none', () => {
    const { terminal, screen } = open();
    terminal.columns = 0;
    terminal.rows = 0;
    screen.update(picture());
    expect(stripVTControlCharacters(terminal.written)).toContain('http://127.0.0.1:7380  Ctrl-C to end');
    screen.close();
  });

  it('prints a line above the picture, which stays', () => {
    const { terminal, screen } = open();
    screen.update(picture());
    screen.print('something happened');
    const after = terminal.written.slice(terminal.written.indexOf('something happened\n'));
    expect(after).toContain('events/s');
    screen.close();
  });

  it('prints nothing in a pipe, and listens to nothing', () => {
    const { terminal, clock } = open();
    terminal.isTTY = false;
    const exits = process.listenerCount('exit');
    const screen = new LiveScreen({ terminal, clock });
    screen.update(picture());
    clock.advance(1_000);
    screen.close();
    expect(screen.active).toBe(false);
    expect(terminal.writes).toBe(0);
    expect(process.listenerCount('exit')).toBe(exits);
  });
});
