/** What people see on a terminal: colours and a progress bar there, neither in a pipe. */
import { stripVTControlCharacters } from 'node:util';
import { createColors } from 'picocolors';
import { Presets, SingleBar } from 'cli-progress';
import { systemClock } from '../core/clock.js';
import type { ReplayProgress } from './replay-run.js';

// Told outright: left to itself the library colours pipes too, where CI is set.
const coloured = (stream: { readonly isTTY?: boolean }): boolean =>
  stream.isTTY === true && process.env['NO_COLOR'] === undefined;
export const colors = createColors(coloured(process.stdout));
export const errorColors = createColors(coloured(process.stderr));

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Notes on the way: to standard error, so that standard output stays what was asked for. */
export function note(line: string): void {
  process.stderr.write(`${errorColors.dim(line)}\n`);
}

/** A number with its thousands apart, and as many decimals as it has. What Node has for that takes some 25 ms to load, as long as a command does. */
export function count(n: number): string {
  return String(n).replace(/(?<!\.\d*)\B(?=(?:\d{3})+(?!\d))/g, ',');
}

/** A progress bar with rate and time left; silent where standard error is no terminal. */
export class ProgressBar {
  readonly #bar: SingleBar | undefined;
  #startedMs = 0;

  constructor(quiet: boolean) {
    if (quiet || !process.stderr.isTTY) return;
    this.#bar = new SingleBar(
      {
        format: ' {bar} {percentage}% | {events} events | {rate}/s | {rows} rows | {left} left',
        etaBuffer: 50,
        hideCursor: true,
        stream: process.stderr,
        clearOnComplete: true,
      },
      Presets.shades_classic,
    );
  }

  start(): void {
    this.#startedMs = systemClock.monotonic();
    this.#bar?.start(1_000, 0, { events: 0, rate: 0, rows: 0, left: '…' });
  }

  update({ fraction, events, rows }: ReplayProgress): void {
    if (this.#bar === undefined) return;
    const seconds = (systemClock.monotonic() - this.#startedMs) / 1000;
    const left =
      fraction === undefined || fraction < 0.02
        ? '…'
        : `${Math.ceil((seconds * (1 - fraction)) / fraction)} s`;
    this.#bar.update(Math.round((fraction ?? 0) * 1_000), {
      events: count(events),
      rows: count(rows),
      rate: count(Math.round(events / Math.max(0.1, seconds))),
      left,
    });
  }

  stop(): void {
    this.#bar?.stop();
  }
}

/** Lines of a table with its columns aligned: text to the left; numbers, and what stands over them, to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths: number[] = [];
  const numeric = new Set(rows.flatMap((row) => [...row.keys()].filter((i) => typeof row[i] === 'number')));
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)));
  for (const row of cells) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, width(cell))));
  return cells.map((row) =>
    row
      .map((cell, i) => {
        const room = ' '.repeat(widths[i]! - width(cell));
        return numeric.has(i) ? room + cell : cell + room;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Columns that a text takes on a terminal, without its colours. */
export function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
