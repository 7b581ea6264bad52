/**
 * Sends what the owned partitions commit: as one batch at a time, so that the next step is computed while the last batch
 * is in flight. What does not fit a batch is held for the next, before anything newer of its partition (P8).
 */
import type { Clock } from '../core/clock.js';
import { errorOf, GroundswellError } from '../core/errors.js';
import type { Log } from '../log/log.js';
import type { Commit } from '../partition/partition.js';
import { encodeCommit, tells, type EncodedCommit } from './batch-assembly.js';
import type { CommitResult, GroupCommit } from './group-commit.js';
import type { NodeObserver } from './status.js';

export interface CommitPipelineOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly partitions: number;
  readonly groupCommit: GroupCommit;
  /** Bytes of one batch, roughly. */
  readonly batchBytesMax: number;
  readonly observer?: Pick<NodeObserver, 'committed'>;
  onAcknowledged(result: CommitResult, bytes: number): void;
  onFailure(error: Error): void;
}

interface Packed {
  readonly batch: readonly EncodedCommit[];
  readonly bytes: number;
  readonly messages: number;
}

export class CommitPipeline {
  readonly #options: CommitPipelineOptions;
  #held: EncodedCommit[] = [];
  #inFlight: Promise<void> | undefined;
  /** Commits of the batch that is in flight. */
  #batch: readonly EncodedCommit[] = [];
  #startedAtMs = Number.NEGATIVE_INFINITY;
  #makingMs = 0;

  constructor(options: CommitPipelineOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#inFlight !== undefined;
  }

  /** Monotonic time at which the last batch was sent. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  /** How long the last batch took to be made, ms: nothing else was done meanwhile. */
  get makingMs(): number {
    return this.#makingMs;
  }

  /** Resolves when no batch is in flight. */
  async idle(): Promise<void> {
    await this.#inFlight;
  }

  /** Resolves when no commit of a partition is in flight: until then it may still be stored, and is sent again if need be. */
  async clear(partition: number): Promise<void> {
    if (this.#batch.some(({ commit }) => commit.partition === partition)) await this.#inFlight;
  }

  /** Whether a commit of this partition waits for the next batch. */
  holds(partition: number): boolean {
    return this.#held.some(({ commit }) => commit.partition === partition);
  }

  /** Whether mail to a partition is on its way into the stream. */
  carriesMailTo(partition: number): boolean {
    return this.#batch.some(({ commit }) => tells(commit, partition));
  }

  /** Lets go of what waits of a partition that is not ours any more. */
  drop(partition: number): void {
    this.#held = this.#held.filter(({ commit }) => commit.partition !== partition);
  }

  /**
   * Sends a batch, unless one is in flight.
   * @param take the next commit of every partition that has one and is not held
   * @returns whether there was anything to send
   */
  start(take: () => readonly Commit[]): boolean {
    if (this.busy) return false;
    const { log, clock, observer, groupCommit } = this.#options;
    const fromMs = clock.monotonic();
    const commits = [...this.#held, ...take().map((commit) => encodeCommit(commit, log.payloadBytesMax))];
    if (commits.length === 0) return false;
    const { batch, bytes, messages } = this.#pack(commits);
    this.#batch = batch;
    this.#startedAtMs = clock.monotonic();
    const sentAtMs = this.#startedAtMs;
    this.#inFlight = groupCommit.commit(batch).then(
      (result) => {
        this.#inFlight = undefined;
        this.#batch = [];
        const seconds = (clock.monotonic() - sentAtMs) / 1000;
        observer?.committed({ bytes, messages, partitions: batch.length, seconds });
        this.#options.onAcknowledged(result, bytes);
      },
      (error: unknown) => {
        this.#inFlight = undefined;
        this.#options.onFailure(errorOf(error));
      },
    );
    this.#makingMs = clock.monotonic() - fromMs;
    return true;
  }

  /** As many commits as fit one batch, and all that are joined; the others are held. */
  #pack(commits: readonly EncodedCommit[]): Packed {
    const { log, partitions, batchBytesMax } = this.#options;
    // Mail adds at most a frame per destination, a few more when it is large: leave room for that.
    const messagesMax = log.batchEntriesMax - 2 * partitions;
    const batch: EncodedCommit[] = [];
    this.#held = [];
    let bytes = 0;
    let messages = 0;
    // Those that are joined go together: they are first.
    for (const encoded of [...commits].sort((a, b) => Number(b.commit.joined) - Number(a.commit.joined))) {
      const count = encoded.journal.length + encoded.out.length;
      const fits = bytes + encoded.bytes <= batchBytesMax && messages + count <= messagesMax;
      const mustFit = batch.length === 0 || encoded.commit.joined;
      if (mustFit && messages + count > messagesMax) {
        throw new GroundswellError(
          'GS_BATCH_TOO_LARGE',
          `One step, up to partition ${encoded.commit.partition}, takes ${messages + count} messages; a batch holds ${messagesMax}.`,
        );
      }
      if (fits || mustFit) {
        batch.push(encoded);
        bytes += encoded.bytes;
        messages += count;
      } else {
        this.#held.push(encoded);
      }
    }
    return { batch, bytes, messages };
  }
}
