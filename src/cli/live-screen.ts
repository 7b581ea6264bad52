/**
 * The terminal's live view, for `demo` and `top`: paints a picture over the last one, at most four times a second, and
 * gives the terminal back as it was. Where standard output is no terminal it prints nothing.
 */
import { createLogUpdate } from 'log-update';
import { systemClock, type Clock } from '../core/clock.js';
import { pictureLines, type LivePicture, type Paint } from './live-picture.js';
import { colors, note } from './screen.js';

export type { LivePicture } from './live-picture.js';

const PAINT_EVERY_MS = 250;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** A terminal that knows these shows what stands between them at once; others pass over them. */
const BEGIN_FRAME = '\u001b[?2026h';
const END_FRAME = '\u001b[?2026l';
const CLEAR_LINE = '\r\u001b[K';
const CLEAR_SCREEN = '\u001b[2J\u001b[H';

/** What of a terminal is needed; `process.stdout` is one. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

export interface LiveScreenOptions {
  readonly terminal?: Terminal;
  readonly clock?: Clock;
  readonly paint?: Paint;
}

export class LiveScreen {
  /** False in a pipe, and on a terminal that cannot move its cursor: then nothing is painted. */
  readonly active: boolean;
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #paint: Paint;
  readonly #render: ReturnType<typeof createLogUpdate>;
  #picture: LivePicture | undefined;
  #paintedMs = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | undefined;
  #opened = false;
  #closed = false;

  constructor(options: LiveScreenOptions = {}) {
    this.#terminal = options.terminal ?? process.stdout;
    this.#clock = options.clock ?? systemClock;
    this.#paint = options.paint ?? colors;
    this.active = this.#terminal.isTTY === true && process.env['TERM'] !== 'dumb';
    const terminal = this.#terminal;
    const sizeOf = (): { columns: number; rows: number } => this.#size();
    const framed = {
      get columns() {
        return sizeOf().columns;
      },
      get rows() {
        return sizeOf().rows;
      },
      write: (text: string) => terminal.write(`${BEGIN_FRAME}${text}${END_FRAME}`),
    };
    this.#render = createLogUpdate(framed as unknown as NodeJS.WritableStream, { showCursor: true });
  }

  /** Shows this from now on: at once, or as soon as the last painting is a quarter of a second old. */
  update(picture: LivePicture): void {
    if (!this.active || this.#closed) return;
    this.#picture = picture;
    if (this.#cancel !== undefined) return;
    const dueMs = this.#paintedMs + PAINT_EVERY_MS - this.#clock.monotonic();
    if (dueMs <= 0) this.#repaint();
    else this.#cancel = this.#clock.after(dueMs, this.#due);
  }

  /** A line above the picture, which stays. In a pipe, a note on standard error. */
  print(line: string): void {
    if (!this.#opened || this.#closed) {
      note(line);
      return;
    }
    this.#render.clear();
    this.#terminal.write(`${line}\n`);
    this.#repaint();
  }

  /** Leaves the last picture where it is and gives the cursor back. Nothing is painted afterwards. */
  close(): void {
    if (this.#closed) return;
    if (this.#cancel !== undefined) this.#repaint();
    this.#closed = true;
    if (!this.#opened) return;
    this.#terminal.off('resize', this.#resized);
    process.off('exit', this.#restore);
    this.#render.done();
    // A terminal echoes ^C where the cursor stands.
    this.#terminal.write(CLEAR_LINE);
    this.#restore();
  }

  readonly #due = (): void => {
    this.#cancel = undefined;
    this.#repaint();
  };

  #repaint(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#picture === undefined) return;
    if (!this.#opened) this.#open();
    const { columns, rows } = this.#size();
    // The last line is the cursor's.
    const size = { columns, rows: Math.max(1, rows - 1) };
    this.#render(pictureLines(this.#picture, size, this.#paint).join('\n'));
    this.#paintedMs = this.#clock.monotonic();
  }

  /** Some terminals say that they have no size. */
  #size(): { columns: number; rows: number } {
    const { columns = 0, rows = 0 } = this.#terminal;
    return columns > 0 && rows > 0 ? { columns, rows } : { columns: 80, rows: 24 };
  }

  #open(): void {
    this.#opened = true;
    this.#terminal.write(HIDE_CURSOR);
    this.#terminal.on('resize', this.#resized);
    // Also when something throws on the way: a terminal without a cursor is no fun.
    process.on('exit', this.#restore);
  }

  readonly #restore = (): void => {
    this.#terminal.write(SHOW_CURSOR);
  };

  /** The terminal has broken the lines anew, so nobody knows where the picture stands. */
  readonly #resized = (): void => {
    this.#render.clear();
    this.#terminal.write(CLEAR_SCREEN);
    this.#repaint();
  };
}
