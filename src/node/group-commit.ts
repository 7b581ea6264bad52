/**
 * Commits the partitions of a process together: one atomic batch at a time (P2), with a compare-and-set per partition
 * (P1). Resolves an unknown outcome by reading the journal back (P6), puts the batch together again without a fenced
 * partition, and tries again where nothing was stored.
 */
import { GroundswellError } from '../core/errors.js';
import { sleep, type Clock } from '../core/clock.js';
import { readToEnd, type Log, type LogMessage } from '../log/log.js';
import type { Subjects } from '../log/subjects.js';
import { JournalReader, type Control } from '../partition/journal.js';
import { assembleBatch, type Batch, type EncodedCommit } from './batch-assembly.js';

export interface Committed {
  readonly partition: number;
  readonly encoded: EncodedCommit;
  /** Log sequence of the last journal message of this commit. */
  readonly journalSeq: number;
  /** What it said to the world, as it is stored. */
  readonly outputs: readonly LogMessage[];
}

export interface CommitResult {
  readonly committed: readonly Committed[];
  /** Partitions that another writer has taken: nothing of theirs was stored. */
  readonly fenced: readonly number[];
  /** Partitions whose step was joined to that of a fenced one: nothing of it was stored, and it cannot be made again here. */
  readonly void: readonly number[];
  /** Log sequence of the last mail that was stored to each partition that got any. */
  readonly mailSeq: ReadonlyMap<number, number>;
}

export interface GroupCommitOptions {
  readonly log: Log;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly writer: string;
  readonly partitions: number;
  /** Attempts without an answer before `commit` gives up: the default takes about two minutes. */
  readonly attemptsMax?: number;
  /** Called before a batch is tried again, with the reason. */
  onRetry?(cause: string, attempt: number): void;
}

const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 5_000;
const ATTEMPTS_MAX = 30;

/** The log could not be read either: nothing is known, so the same batch is tried again. If it is there, it is stale. */
const UNRESOLVED: Resolution = { firstSeq: undefined, fenced: [] };

interface Resolution {
  /** Where the batch begins, when it was found. */
  readonly firstSeq: number | undefined;
  readonly fenced: readonly number[];
}

type Whose = 'ours' | 'theirs' | 'nobody';

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #journalSeq = new Map<number, number>();
  readonly #inputSeq = new Map<number, number>();

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Says where a partition's journal stands after its recovery. */
  track(partition: number, journalSeq: number, inputSeq = 0): void {
    this.#journalSeq.set(partition, journalSeq);
    this.#inputSeq.set(partition, inputSeq);
  }

  /** Lets go of a partition that is not ours any more. */
  untrack(partition: number): void {
    this.#journalSeq.delete(partition);
    this.#inputSeq.delete(partition);
  }

  journalSeq(partition: number): number {
    return this.#journalSeq.get(partition) ?? 0;
  }

  /** Log sequence of the last input of a partition that is committed. */
  inputSeq(partition: number): number {
    return this.#inputSeq.get(partition) ?? 0;
  }

  /** @throws GroundswellError GS_LOG when the stream refuses for good or never answers, GS_STREAM_LOST when it is gone */
  async commit(commits: readonly EncodedCommit[]): Promise<CommitResult> {
    const { log, clock, subjects, partitions } = this.#options;
    let remaining = commits;
    const fenced: number[] = [];
    const voided: number[] = [];
    for (let attempt = 1; remaining.length > 0; attempt++) {
      const limits = { partitions, frameBytesMax: log.payloadBytesMax };
      const batch = assembleBatch(remaining, (partition) => this.journalSeq(partition), subjects, limits);
      const outcome = await log.append(batch.entries);
      const stored = (firstSeq: number): CommitResult => ({
        committed: this.#settle(remaining, batch, firstSeq),
        fenced,
        void: voided,
        mailSeq: new Map([...batch.mailAt].map(([to, at]) => [to, firstSeq + at])),
      });
      if (outcome.outcome === 'committed') return stored(outcome.firstSeq);
      if (outcome.outcome === 'refused' && !outcome.retry) throw refused(outcome.cause);
      if (outcome.outcome !== 'refused') {
        const found = await this.#resolve(remaining, batch).catch(unresolved);
        if (found.firstSeq !== undefined) return stored(found.firstSeq);
        fenced.push(...found.fenced);
        const isFenced = ({ commit }: EncodedCommit): boolean => found.fenced.includes(commit.partition);
        const isVoid = remaining.some((one) => isFenced(one) && one.commit.joined);
        const rest = remaining.filter((one) => !isFenced(one));
        remaining = rest.filter(({ commit }) => !(isVoid && commit.joined));
        for (const { commit } of rest) if (isVoid && commit.joined) voided.push(commit.partition);
        if (found.fenced.length > 0) continue;
      }
      if (attempt >= (this.#options.attemptsMax ?? ATTEMPTS_MAX))
        throw refused(`${outcome.cause}, after ${attempt} attempts`);
      this.#options.onRetry?.(outcome.cause, attempt);
      await sleep(clock, Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** (attempt - 1)));
    }
    return { committed: [], fenced, void: voided, mailSeq: new Map() };
  }

  #settle(commits: readonly EncodedCommit[], batch: Batch, firstSeq: number): Committed[] {
    const { subjects } = this.#options;
    return commits.map((encoded) => {
      const { partition } = encoded.commit;
      const journalSeq = firstSeq + batch.journalAt.get(partition)!.last;
      this.#journalSeq.set(partition, journalSeq);
      this.#inputSeq.set(partition, encoded.commit.entry.control.inputSeq);
      const subject = subjects.out(partition);
      const outputs = encoded.out.map((payload, i) => ({ subject, seq: journalSeq + 1 + i, payload }));
      return { partition, encoded, journalSeq, outputs };
    });
  }

  /** Reads what follows the expected end of each journal: our entry, somebody else's, or nothing (P6). */
  async #resolve(commits: readonly EncodedCommit[], batch: Batch): Promise<Resolution> {
    const fenced: number[] = [];
    for (const { commit } of commits) {
      const next = await this.#nextEntry(commit.partition);
      const whose = this.#whose(next?.control, commit.number);
      // A batch is whole: one entry of it found means all of it is there.
      if (whose === 'ours')
        return { firstSeq: next!.firstSeq - batch.journalAt.get(commit.partition)!.first, fenced: [] };
      if (whose === 'theirs') fenced.push(commit.partition);
    }
    return { firstSeq: undefined, fenced };
  }

  #whose(control: Control | undefined, commit: number): Whose {
    if (control === undefined) return 'nobody';
    return control.writer === this.#options.writer && control.commit === commit ? 'ours' : 'theirs';
  }

  async #nextEntry(partition: number): Promise<{ firstSeq: number; control: Control } | undefined> {
    const { log, subjects } = this.#options;
    const reader = new JournalReader();
    let firstSeq: number | undefined;
    for await (const { seq, payload } of readToEnd(
      log,
      subjects.journal(partition),
      this.journalSeq(partition) + 1,
    )) {
      firstSeq ??= seq;
      const entry = reader.push(payload);
      if (entry !== undefined) return { firstSeq, control: entry.control };
    }
    return undefined;
  }
}

/** A stream that is gone stays so; anything else may be better at the next attempt. */
function unresolved(error: unknown): Resolution {
  if (error instanceof GroundswellError && error.code === 'GS_STREAM_LOST') throw error;
  return UNRESOLVED;
}

function refused(cause: string): GroundswellError {
  return new GroundswellError('GS_LOG', `The stream did not take a commit: ${cause}.`);
}
