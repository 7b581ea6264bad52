/**
 * Two revisions side by side: HEAD of a work tree and another one, each built in a worktree of its own, measured in turn
 * in fresh processes. What counts is the ratio within each pair: both had the same machine a moment apart.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../machine.js';
import { Checkout, commitOf, isDirty, type Figures } from './checkout.js';
import type { CompareOptions } from './options.js';
import { interleaved, spreadOf, type Side, type Spread } from './statistics.js';

export interface Measure {
  readonly name: 'endToEnd' | 'engineAlone' | 'nullReaderRatio';
  /** HEAD divided by the other revision, pair by pair: above 1, HEAD is the better one. */
  readonly ratio: Spread;
  readonly ratios: readonly number[];
  /** Medians over the runs of each revision. */
  readonly head: number;
  readonly other: number;
}

export interface Comparison {
  readonly head: string;
  readonly other: string;
  readonly dirty: boolean;
  readonly measures: readonly Measure[];
  /** Both make the same rows; where they do not, the figures are of different work. */
  readonly sameRows: boolean;
}

export interface Surroundings {
  readonly root: string;
  readonly signal: AbortSignal;
  /** Called with a line for people before each step that takes time, and for what they should know. */
  readonly say: (line: string) => void;
}

const MEASURES: readonly { readonly name: Measure['name']; readonly of: (figures: Figures) => number }[] = [
  { name: 'endToEnd', of: ({ endToEnd }) => endToEnd },
  { name: 'engineAlone', of: ({ engineAlone }) => engineAlone },
  { name: 'nullReaderRatio', of: ({ endToEnd, nullReader }) => endToEnd / nullReader },
];

/** @throws CompareError with what to do about it; the reason of `signal` when that is aborted */
export async function compare(
  options: CompareOptions,
  { root, signal, say }: Surroundings,
): Promise<Comparison> {
  const head = await commitOf(root, 'HEAD', signal);
  const other = await commitOf(root, options.revision, signal);
  const dirty = await isDirty(root, signal);
  if (dirty)
    say(
      'warning: the work tree has changes that are not in HEAD, and HEAD is what is measured: commit them first',
    );

  const folder = await mkdtemp(join(tmpdir(), 'groundswell-compare-'));
  const sides: Readonly<Record<Side, Checkout>> = {
    head: new Checkout({ root, signal, folder: join(folder, 'head'), revision: 'HEAD', commit: head }),
    other: new Checkout({
      root,
      signal,
      folder: join(folder, 'other'),
      revision: options.revision,
      commit: other,
    }),
  };
  try {
    for (const [side, checkout] of Object.entries(sides)) {
      say(
        `building ${side === 'head' ? `HEAD (${head.slice(0, 7)})` : `${options.revision} (${other.slice(0, 7)})`}`,
      );
      await checkout.prepare();
    }
    const figures: Record<Side, Figures[]> = { head: [], other: [] };
    for (const [i, side] of interleaved(options.runs).entries()) {
      const measured = await sides[side].measure(options.events);
      figures[side].push(measured);
      const name = side === 'head' ? 'HEAD' : options.revision;
      say(
        `pair ${(i >> 1) + 1} of ${options.runs}, ${name}: end to end ${count(measured.endToEnd)}, engine alone ${count(measured.engineAlone)}, null reader ${count(measured.nullReader)} events/s`,
      );
    }
    return {
      head,
      other,
      dirty,
      measures: measuresOf(figures),
      sameRows: new Set([...figures.head, ...figures.other].map(({ rowsHash }) => rowsHash)).size === 1,
    };
  } finally {
    for (const checkout of Object.values(sides)) await checkout.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The figures of the two, run by run. */
export function measuresOf(figures: Readonly<Record<Side, readonly Figures[]>>): Measure[] {
  return MEASURES.map(({ name, of }) => {
    const head = figures.head.map(of);
    const other = figures.other.map(of);
    const ratios = head.map((value, pair) => value / other[pair]!);
    return { name, ratio: spreadOf(ratios), ratios, head: median(head), other: median(other) };
  });
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
