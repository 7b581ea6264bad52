/**
 * Where log lines go: a file descriptor, written at once, so that the last words before an exit are out. A reader that
 * does not read makes lines wait up to a limit; then they are dropped and counted (P8). A reader that is gone, or a
 * full disk, never ends the process.
 */
import { writeSync } from 'node:fs';
import type { Clock } from '../core/clock.js';

export interface LogSinkOptions {
  readonly clock: Clock;
  /** Writes what it can and gives how many bytes; throws as `writeSync` does. By default, to standard error. */
  readonly write?: (bytes: Uint8Array) => number;
  readonly waitingBytesMax?: number;
}

const STANDARD_ERROR = 2;
const RETRY_MS = 20;
/** A reader that took nothing for so long will not take more. */
const GIVE_UP_MS = 5_000;
const FLUSH_MS = 500;
const FLUSH_PAUSE_MS = 5;
const WAITING_BYTES_MAX = 1_048_576;
/** The other end is gone: nothing will ever be written again. */
const GONE = new Set(['EPIPE', 'EBADF', 'EIO', 'ECONNRESET']);

export class LogSink {
  readonly #options: LogSinkOptions;
  readonly #write: (bytes: Uint8Array) => number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #gone = false;
  #progressMs = 0;
  #cancelRetry: (() => void) | undefined;
  #onDropped: (lines: number) => void = () => undefined;

  constructor(options: LogSinkOptions) {
    this.#options = options;
    this.#write = options.write ?? ((bytes) => writeSync(STANDARD_ERROR, bytes));
  }

  /** Is told when lines go out again after some were dropped. */
  onDropped(listener: (lines: number) => void): void {
    this.#onDropped = listener;
  }

  /** Lines that were dropped and have not been told. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#gone) return;
    const bytes = Buffer.from(line);
    const { waitingBytesMax = WAITING_BYTES_MAX } = this.#options;
    if (this.#waitingBytes + bytes.byteLength > Math.max(waitingBytesMax, bytes.byteLength)) {
      this.#dropped++;
      return;
    }
    if (this.#waitingBytes === 0) this.#progressMs = this.#options.clock.monotonic();
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    // Behind others it waits its turn: the retry is on its way.
    if (this.#waiting.length === 1) this.#drain();
    if (this.#waitingBytes > 0) this.#retryLater();
  }

  /** Writes what waits, for half a second at most: the reader may be busy, or not there at all. */
  flush(): void {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + FLUSH_MS;
    for (this.#drain(); this.#waitingBytes > 0 && clock.monotonic() < endMs; this.#drain()) pause();
  }

  #drain(): void {
    let wrote = false;
    while (!this.#gone && this.#waiting.length > 0) {
      const line = this.#waiting[0]!;
      try {
        const written = this.#write(line);
        this.#waitingBytes -= written;
        wrote = written > 0;
        if (wrote) this.#progressMs = this.#options.clock.monotonic();
        if (written < line.byteLength) this.#waiting[0] = line.subarray(written);
        else this.#waiting.shift();
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? '';
        if (code === 'EAGAIN' || code === 'EWOULDBLOCK') return;
        if (GONE.has(code)) this.#leave();
        else {
          // A full disk, say: this line is lost, a later one may not be.
          wrote = false;
          this.#dropped++;
          this.#waitingBytes -= line.byteLength;
          this.#waiting.shift();
        }
      }
    }
    // Only on a way that works: telling of it must not be the next line that is lost.
    if (wrote) this.#tellDropped();
  }

  #retryLater(): void {
    const { clock } = this.#options;
    this.#cancelRetry ??= clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      this.#drain();
      if (this.#waitingBytes === 0) return;
      if (clock.monotonic() - this.#progressMs < GIVE_UP_MS) this.#retryLater();
      else this.#dropWaiting();
    });
  }

  #tellDropped(): void {
    if (this.#dropped === 0 || this.#gone || this.#waitingBytes > 0) return;
    const lines = this.#dropped;
    this.#dropped = 0;
    this.#onDropped(lines);
  }

  #dropWaiting(): void {
    this.#dropped += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #leave(): void {
    this.#gone = true;
    this.#dropWaiting();
    this.#cancelRetry?.();
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FLUSH_PAUSE_MS);
}
