/**
 * Mail between partitions of this process: each hears what the others say within the turn in which they say it, and they commit in
 * one batch (P2). So a minute goes from drivers to the region in one commit, not in five, and nothing of it is encoded, stored and
 * read again. Owns who may hear whom. Mail to partitions of other processes, and what this does not let through, goes by the stream.
 *
 * Order is kept: nobody hears anything as long as mail to it may be in the stream that was said before. And nothing is lost or seen
 * too early: a batch holds all who heard each other, with a compare-and-set for each (P1); when it is refused for one of them, the
 * others begin anew from their journals; a partition that takes back what it said takes those along who heard it.
 */
import type { LogMessage } from '../log/log.js';
import type { Partition } from '../partition/partition.js';
import type { CommitPipeline } from './commit-pipeline.js';
import type { OwnedPartition } from './owned-partition.js';

export class LocalMail {
  readonly #pipeline: Pick<CommitPipeline, 'holds' | 'carriesMailTo'>;
  /** Log sequence of the last mail in the stream to a partition that one of ours may have sent, now or under another owner. */
  readonly #mailUntil = new Map<number, number>();
  /** Partitions that work here, or are about to. */
  readonly #here = new Set<number>();
  /** By stage, of the slowest, when all had heard each other. */
  #leastMarks: readonly number[] = [];

  constructor(pipeline: Pick<CommitPipeline, 'holds' | 'carriesMailTo'>) {
    this.#pipeline = pipeline;
  }

  /** Mail to a partition is in the stream. */
  isStored(to: number, seq: number): void {
    this.#mailUntil.set(to, Math.max(seq, this.#mailUntil.get(to) ?? 0));
  }

  /**
   * Notes what mail is in the stream before a partition that was recovered begins to work here: from it to those that are here, and
   * from them to it. What its owner before may still have on its way is refused, or our first commit of it is.
   */
  async begin(partition: number, last: (to: number) => Promise<LogMessage | undefined>): Promise<void> {
    this.#here.add(partition);
    const look = async (to: number): Promise<void> => {
      const message = await last(to);
      if (message !== undefined) this.isStored(to, message.seq);
    };
    await Promise.all([...this.#here].map(look));
  }

  end(partition: number): void {
    this.#here.delete(partition);
  }

  /** Has a partition hear all of them, and what is left that it has said to itself. True when anything was said. */
  exchange(to: OwnedPartition, owned: readonly OwnedPartition[]): boolean {
    if (!this.#mayTakePart(to.partition) || this.#hasMailBefore(to)) return false;
    const others = owned.map(({ partition }) => partition);
    return to.partition.hear(others.filter((from) => this.#mayTakePart(from)));
  }

  /** All have heard each other. */
  exchanged(owned: readonly OwnedPartition[]): void {
    this.#leastMarks = leastMarksOf(owned);
  }

  /** Since then the slowest has given a mark: what is said may let somebody close. */
  letsClose(owned: readonly OwnedPartition[]): boolean {
    return leastMarksOf(owned).some((ms, stage) => ms !== this.#leastMarks[stage]);
  }

  /** A partition has mail in the stream that it will read soon: then it hears the others. */
  isReading(owned: Iterable<OwnedPartition>): boolean {
    for (const { partition } of owned)
      if (!partition.careful && partition.inputSeq < (this.#mailUntil.get(partition.partition) ?? 0))
        return true;
    return false;
  }

  /** Calls that fail are few: as long as there are some, its partition is by itself. */
  #mayTakePart(partition: Partition): boolean {
    return !partition.careful && !this.#pipeline.holds(partition.partition);
  }

  #hasMailBefore({ partition }: OwnedPartition): boolean {
    const to = partition.partition;
    return this.#pipeline.carriesMailTo(to) || partition.inputSeq < (this.#mailUntil.get(to) ?? 0);
  }
}

/** By stage, of the slowest. */
function leastMarksOf(owned: readonly OwnedPartition[]): number[] {
  const marks = owned.map(({ partition }) => partition.marks);
  return marks[0]?.map((_, stage) => Math.min(...marks.map((ofOne) => ofOne[stage]!))) ?? [];
}
