/** What happens to nodes and servers, one thing after another: a function of the seed alone. */
import { seededRandom, type Random } from '../../src/core/random.js';

/**
 * `kill`: SIGKILL of a node, started again on its data; `wipe`: the same, and its data folder is gone; `freeze`: SIGSTOP
 * for longer than its lease, then SIGCONT; `restart`: SIGTERM, and started again; `server`: SIGKILL of a nats-server (the
 * stream's leader in a cluster), started again; `cut`: SIGSTOP of the stream's leader in a cluster, then SIGCONT: its
 * connections stand and nobody answers, as when the network is cut.
 */
export type FaultKind = 'kill' | 'wipe' | 'freeze' | 'restart' | 'server' | 'cut';

export interface Fault {
  readonly kind: FaultKind;
  /** Which of the nodes that could be struck: a share of their number, from 0 to below 1. */
  readonly which: number;
  /** How long it is away before it is started again, or goes on. */
  readonly awayMs: number;
  /** Pause before the fault, once all have settled. */
  readonly pauseMs: number;
  /** The next one comes at once, while this one's harm is not mended. */
  readonly hasty: boolean;
}

/** What every run begins with, in an order of its own: so that a short one has seen each. */
export const BEGINNING: readonly FaultKind[] = ['kill', 'freeze', 'restart', 'server', 'kill'];
/** The same, of a cluster. */
export const CLUSTER_BEGINNING: readonly FaultKind[] = [...BEGINNING, 'cut'];

/** Out of a hundred. A wiped node can only come back where others, or the journal, have all. */
const SHARES: readonly (readonly [FaultKind, number])[] = [
  ['kill', 52],
  ['wipe', 6],
  ['freeze', 14],
  ['restart', 14],
  ['server', 14],
];
/** Of the servers of a cluster that are struck. */
const CUT_SHARE = 0.4;
const HASTY_SHARE = 0.2;
const AWAY_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [0, 3_000],
  wipe: [0, 3_000],
  freeze: [3_000, 6_000],
  restart: [0, 1_000],
  server: [100, 1_500],
  cut: [5_000, 9_000],
};
const PAUSE_MS = [300, 1_500] as const;

export interface FaultPlanOptions {
  /** Three servers, one of which may be cut off. */
  readonly cluster?: boolean;
  readonly first?: readonly FaultKind[];
}

export class FaultPlan {
  readonly #random: Random;
  readonly #first: FaultKind[];
  readonly #cluster: boolean;

  /** @param options.first kinds that come first, in any order */
  constructor(
    seed: number,
    { cluster = false, first = cluster ? CLUSTER_BEGINNING : BEGINNING }: FaultPlanOptions = {},
  ) {
    this.#random = seededRandom(seed);
    this.#first = [...first];
    this.#cluster = cluster;
  }

  /** How many of the first are still to come. */
  get beginning(): number {
    return this.#first.length;
  }

  next(): Fault {
    const kind = this.#kind();
    return {
      kind,
      which: this.#random.next(),
      awayMs: this.#within(AWAY_MS[kind]),
      pauseMs: this.#within(PAUSE_MS),
      hasty: this.#random.next() < HASTY_SHARE,
    };
  }

  #kind(): FaultKind {
    const chance = this.#random.next();
    if (this.#first.length > 0) return this.#first.splice(Math.floor(chance * this.#first.length), 1)[0]!;
    let left = chance * 100;
    for (const [kind, share] of SHARES) {
      if (left < share) return this.#cluster && kind === 'server' && left < share * CUT_SHARE ? 'cut' : kind;
      left -= share;
    }
    return 'kill';
  }

  #within([from, to]: readonly [number, number]): number {
    return Math.round(from + this.#random.next() * (to - from));
  }
}

/** A kill of a node: what is counted. */
export function isKill(kind: FaultKind): boolean {
  return kind === 'kill' || kind === 'wipe';
}
