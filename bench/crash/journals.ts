/**
 * The journals of all partitions as the stream holds them, followed through every fault: who committed what and when, by the
 * server's own clock. Owns what is kept of a commit, and the rules that every journal must hold to, whoever writes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { Subjects, partitionOfSubject } from '../../src/log/subjects.js';
import { journalHead } from '../../src/partition/journal.js';
import { StreamReader } from './stream-reader.js';

/** One commit of a partition. */
export interface Commit {
  readonly seq: number;
  readonly atMs: number;
  readonly writer: string;
  readonly epoch: number;
  readonly commit: number;
  /** Input taken by then. */
  readonly inputSeq: number;
  /** It is its writer's last: the node named there may take the partition. */
  readonly handedTo: string | undefined;
}

const POLL_MS = 100;

export class Journals {
  readonly #reader: StreamReader;
  readonly #commits: Commit[][];
  #stopping = false;
  #failure: unknown;
  readonly #running: Promise<void>;

  constructor(connection: NatsConnection, region: string, partitions: number) {
    const subjects = new Subjects(region);
    this.#reader = new StreamReader(connection, subjects.engineStream, `gs.${region}.p.*.journal`);
    this.#commits = Array.from({ length: partitions }, () => []);
    this.#running = this.#follow();
  }

  of(partition: number): readonly Commit[] {
    return this.#commits[partition]!;
  }

  get all(): readonly (readonly Commit[])[] {
    return this.#commits;
  }

  /** Reads what there is, and ends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    if (this.#failure !== undefined)
      throw new Error('the journals could not be read', { cause: this.#failure });
  }

  async #follow(): Promise<void> {
    try {
      for (;;) {
        const stopping = this.#stopping;
        const messages = await this.#reader.next();
        for (const { subject, seq, atMs, data } of messages) {
          const { control } = journalHead(data);
          if (control === undefined) continue;
          const { writer, epoch, commit, inputSeq, handedTo } = control;
          this.#commits[partitionOfSubject(subject)]!.push({
            seq,
            atMs,
            writer,
            epoch,
            commit,
            inputSeq,
            handedTo,
          });
        }
        if (messages.length > 0) continue;
        if (stopping) return;
        await sleep(POLL_MS);
      }
    } catch (error) {
      this.#failure = error;
    }
  }
}

/** Longest list of faults of one partition. */
const FAULTS_MAX = 3;

/** What of a partition's journal no fault may bring about, in words: two writers at once, time or input that goes back. */
export function journalFaults(partition: number, commits: readonly Commit[]): string[] {
  const faults: string[] = [];
  const say = (at: Commit, what: string): void => {
    faults.push(`partition ${partition}, journal sequence ${at.seq}: ${what}`);
  };
  for (const [i, now] of commits.entries()) {
    const before = commits[i - 1];
    if (before === undefined) continue;
    if (now.commit !== before.commit + 1)
      say(now, `commit ${now.commit} of ${now.writer} follows ${before.commit} of ${before.writer}`);
    if (now.inputSeq < before.inputSeq)
      say(now, `input goes back from ${before.inputSeq} to ${now.inputSeq}`);
    if (now.epoch < before.epoch) say(now, `epoch ${now.epoch} follows ${before.epoch}`);
    if (now.writer !== before.writer && now.epoch === before.epoch)
      say(now, `${now.writer} and ${before.writer} both write in epoch ${now.epoch}`);
    if (before.handedTo !== undefined && now.writer === before.writer && now.epoch === before.epoch)
      say(now, `${now.writer} commits after it had handed over`);
  }
  return faults.slice(0, FAULTS_MAX);
}
