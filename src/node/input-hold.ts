/**
 * Asks producers to wait when the node has more to do than it can. Input and commits share one stream, so input must stop
 * while there is still room for the commits that it will cause, or nothing could be committed any more and no room be made.
 *
 * A node that owns partitions holds one by a message on its hold subject, and lets it go by removing that. The message is all
 * the state there is: whoever takes a partition over finds it, and a producer anywhere sees it, together with how full the
 * stream is, by the one question that it may ask anyhow (`log/gauge.ts`). Owns when to hold; waiting is the producers'.
 */
import { messageOf } from '../core/errors.js';
import type { Clock } from '../core/clock.js';
import type { Gauge, StreamLoad } from '../log/gauge.js';
import type { Log } from '../log/log.js';
import { partitionOfSubject, type Subjects } from '../log/subjects.js';

export interface HoldRules {
  /** Input messages of a partition that may wait. */
  readonly lagMessagesMax: number;
}

export interface InputHoldOptions extends HoldRules {
  readonly log: Log & Gauge;
  readonly subjects: Subjects;
  readonly clock: Clock;
  /** Partitions of the region. */
  readonly partitions: number;
  /** The partitions that this node owns now, and how many input messages of each wait. */
  lags(): readonly PartitionLag[];
  /** How far apart looks are, ms; 500 by default. */
  readonly lookEveryMs?: number;
  /** Told when it could not be done; it is tried again at the next look. */
  onFailure?(cause: string): void;
}

export interface PartitionLag {
  readonly partition: number;
  readonly lagMessages: number;
}

const LOOK_EVERY_MS = 500;
/** What a message of input makes the engine write, at most about: journal, mail and output, by their bytes. */
const WRITTEN_FOR_INPUT = 4;
/** A partition that is held is let go at so much of what held it. */
const LET_GO_AT = 0.5;

/** The partitions to hold, of those owned here. One that is held stays so until it has caught up with half of it. */
export function partitionsToHold(
  lags: readonly PartitionLag[],
  held: ReadonlySet<number>,
  load: Pick<StreamLoad, 'messages' | 'bytes' | 'bytesMax'>,
  rules: HoldRules & { readonly partitions: number },
): Set<number> {
  const room = load.bytesMax === undefined ? Number.POSITIVE_INFINITY : load.bytesMax - load.bytes;
  const messageBytes = load.bytes / Math.max(1, load.messages);
  // Others own as much as this node for each of their partitions: what they have waiting needs room too.
  const share = rules.partitions / Math.max(1, lags.length);
  const waiting = lags.reduce((sum, { lagMessages }) => sum + lagMessages, 0) * share;
  const needed = waiting * messageBytes * WRITTEN_FOR_INPUT;
  const hold = new Set<number>();
  for (const { partition, lagMessages } of lags) {
    const factor = held.has(partition) ? LET_GO_AT : 1;
    const tooMany = lagMessages > rules.lagMessagesMax * factor;
    const noRoom = lagMessages > 0 && needed > room * factor;
    if (tooMany || noRoom) hold.add(partition);
  }
  return hold;
}

export class InputHold {
  readonly #options: InputHoldOptions;
  #held: ReadonlySet<number> = new Set();
  #cancel: () => void = () => undefined;
  #looking: Promise<void> | undefined;
  #stopped = true;

  constructor(options: InputHoldOptions) {
    this.#options = options;
  }

  /** Partitions owned here that are held, as of the last look. */
  get held(): readonly number[] {
    return [...this.#held].sort((a, b) => a - b);
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#schedule();
  }

  /** Ends the looks. What is held stays held: whoever takes the partition looks for itself. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#looking;
  }

  /** One look, now. @throws GroundswellError GS_LOG */
  async look(): Promise<void> {
    const { log, subjects } = this.#options;
    const load = await log.load(subjects.allHolds);
    const present = new Set(load.present.map(partitionOfSubject));
    const lags = this.#options.lags();
    const hold = partitionsToHold(lags, present, load, this.#options);
    for (const { partition, lagMessages } of lags) {
      if (hold.has(partition) === present.has(partition)) continue;
      if (hold.has(partition)) await this.#hold(partition, lagMessages);
      else await this.#letGo(partition);
    }
    this.#held = hold;
  }

  async #hold(partition: number, lagMessages: number): Promise<void> {
    const { log, subjects, clock } = this.#options;
    const payload = new TextEncoder().encode(JSON.stringify({ format: 1, lagMessages, atMs: clock.now() }));
    const outcome = await log.append([{ subject: subjects.hold(partition), payload }]);
    // A stream that is full holds producers by itself.
    if (outcome.outcome !== 'committed') this.#options.onFailure?.(outcome.cause);
  }

  async #letGo(partition: number): Promise<void> {
    const { log, subjects } = this.#options;
    const last = await log.last(subjects.hold(partition));
    if (last !== undefined) await log.purge(subjects.hold(partition), last.seq + 1);
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.after(this.#options.lookEveryMs ?? LOOK_EVERY_MS, () => {
      this.#looking = this.look()
        .catch((error: unknown) => this.#options.onFailure?.(messageOf(error)))
        .then(() => {
          this.#looking = undefined;
          if (!this.#stopped) this.#schedule();
        });
    });
  }
}
