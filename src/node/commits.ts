/**
 * What the owned partitions commit: takes it when a batch may go, and does what follows when one was stored or refused. How
 * a batch is sent is the pipeline's, what becomes of a partition that left `owned-partitions`'s.
 */
import { GroundswellError } from '../core/errors.js';
import type { Commit } from '../partition/partition.js';
import type { BaseKeeper } from './base/base-keeper.js';
import type { CommitPipeline } from './commit-pipeline.js';
import type { CommitResult } from './group-commit.js';
import type { LocalMail } from './local-mail.js';
import type { NodeOptions } from './node-options.js';
import type { OwnedPartitions } from './owned-partitions.js';
import type { Snapshotter } from './snapshotter.js';
import type { NodeStats } from './status.js';

export interface CommitsOptions extends Pick<NodeOptions, 'subjects' | 'logger' | 'onCommitted'> {
  readonly owned: OwnedPartitions;
  readonly pipeline: CommitPipeline;
  readonly snapshotter: Snapshotter;
  readonly keeper: BaseKeeper | undefined;
  readonly localMail: LocalMail;
  readonly stats: NodeStats;
  /** No other node may own partitions of the region. */
  readonly alone: boolean;
  readonly onFailure: (thrown: unknown) => void;
}

export class Commits {
  readonly #options: CommitsOptions;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  /** Sends what there is, unless a batch is in flight. True when there was anything to send. */
  start(): boolean {
    return this.#options.pipeline.start(() => this.#take());
  }

  #take(): Commit[] {
    const { owned, pipeline } = this.#options;
    const taking = [...owned.all].filter(
      ([id]) => !pipeline.holds(id) && owned.release(id)?.commit === undefined,
    );
    // What is found too large now takes others back that were ready.
    while (taking.some(([, { partition }]) => !partition.isPrepared))
      for (const [, { partition }] of taking) partition.prepareCommit();
    const commits: Commit[] = [];
    for (const [id, one] of taking) {
      const release = owned.release(id);
      const commit = one.partition.takeCommit(release?.to);
      one.uncommittedEvents = 0;
      if (commit === undefined) continue;
      if (release !== undefined) release.commit = commit.number;
      commits.push(commit);
    }
    return commits;
  }

  /** A batch was stored, but for the partitions that others have. */
  acknowledged({ committed, fenced, void: voided, mailSeq }: CommitResult, bytes: number): void {
    const { owned, snapshotter, keeper, stats, localMail, onCommitted } = this.#options;
    for (const [to, seq] of mailSeq) localMail.isStored(to, seq);
    stats.batches++;
    stats.batchBytes += bytes;
    stats.commits += committed.length;
    for (const { partition, encoded, journalSeq, outputs } of committed) {
      stats.rows += encoded.commit.rows;
      onCommitted?.(outputs);
      const { control } = encoded.commit.entry;
      owned.all.get(partition)?.acknowledged(control, journalSeq);
      const journalBytes = encoded.journal.reduce((sum, { byteLength }) => sum + byteLength, 0);
      keeper?.committed(partition, control, journalBytes);
    }
    snapshotter.add(committed.filter(({ partition }) => owned.all.has(partition)));
    for (const { partition, encoded } of committed) {
      if (owned.release(partition)?.commit !== encoded.commit.number) continue;
      stats.handedOver++;
      owned.drop(partition, 'it was handed over').catch(this.#options.onFailure);
    }
    for (const partition of fenced) this.#fenced(partition);
    for (const partition of voided) this.#void(partition);
  }

  /** A partition had heard one that another node has taken: nothing of that was stored, and it is recovered from its journal. */
  #void(partition: number): void {
    const { logger, owned, stats } = this.#options;
    stats.void++;
    logger?.warn({ partition }, 'it had heard a partition that another node has taken, and begins anew');
    owned.drop(partition, 'it had heard one that another node has taken').catch(this.#options.onFailure);
  }

  /** Another process has committed to a partition (P1). */
  #fenced(partition: number): void {
    const { subjects, alone, logger, owned, stats } = this.#options;
    stats.fenced++;
    if (alone) {
      this.#options.onFailure(
        new GroundswellError(
          'GS_FENCED',
          `Another process committed to partition ${partition} of ${subjects.region}.`,
        ),
      );
      return;
    }
    logger?.warn({ partition }, 'another node has taken this partition');
    owned.drop(partition, 'another node has taken it').catch(this.#options.onFailure);
  }
}
