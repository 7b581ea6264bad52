/**
 * The outputs of partitions, for those who publish them. What the node of this process commits they get as soon as it is
 * stored, as the very bytes, and do not fetch it from the server again; whoever begins in the middle, or falls behind, reads
 * the stream up to where that goes on.
 *
 * That nothing is missed rests on P1: outputs are stored with the journal, so while a node owns a partition, from its recovery
 * until it drops it, nobody else's outputs of it stand between two of its own. What is stored when a reader begins, the stream
 * has; what is stored later is the node's, and told here.
 */
import { errorOf } from '../core/errors.js';
import type { Log, LogMessage, LogReader } from '../log/log.js';

/** Reads the outputs of one partition in their order. */
export interface PartitionOutputs extends LogReader {
  /** Sequence of the last output that there is for this reader as of now; 0 when there is none. */
  lastSeq(): Promise<number>;
}

/** Who has more waiting than this reads the stream again, bytes. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export class OwnOutputs {
  readonly #log: Log;
  readonly #waitingBytesMax: number;
  /** Who is told, by subject: of partitions that the node owns. */
  readonly #readers = new Map<string, Set<OwnReader>>();

  constructor(log: Log, waitingBytesMax = WAITING_BYTES_MAX) {
    this.#log = log;
    this.#waitingBytesMax = waitingBytesMax;
  }

  /** The node owns a partition with this subject from now on, and what it commits is told. */
  begin(subject: string): void {
    this.#readers.set(subject, new Set());
  }

  /** It does not any more: others may write. */
  end(subject: string): void {
    this.#readers.delete(subject);
  }

  /** @param outputs of one commit, which is stored */
  committed(outputs: readonly LogMessage[]): void {
    const [first] = outputs;
    if (first === undefined) return;
    for (const reader of this.#readers.get(first.subject) ?? []) reader.tell(outputs);
  }

  /** Reads on from a sequence (inclusive). `wake` is called whenever something has come, or the reader failed. */
  async read(subject: string, fromSeq: number, wake: () => void): Promise<PartitionOutputs> {
    const log = this.#log;
    const readers = this.#readers.get(subject);
    if (readers === undefined) {
      const lastSeq = async (): Promise<number> => (await log.last(subject))?.seq ?? 0;
      return Object.assign(await log.read(subject, fromSeq, wake), { lastSeq });
    }
    const reader: OwnReader = new OwnReader(log, {
      ...{ subject, fromSeq, wake, waitingBytesMax: this.#waitingBytesMax },
      onClosed: () => readers.delete(reader),
    });
    // Before the stream is asked how far it goes: what is stored from then on is told.
    readers.add(reader);
    try {
      await reader.begin();
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  }
}

interface OwnReaderOptions {
  readonly subject: string;
  readonly fromSeq: number;
  readonly wake: () => void;
  readonly waitingBytesMax: number;
  readonly onClosed: () => void;
}

/** The outputs of one partition in their order: out of the stream up to some place, and what is told from there on. */
class OwnReader implements PartitionOutputs {
  readonly #log: Log;
  readonly #options: OwnReaderOptions;
  /** Told, and not taken. */
  #told: LogMessage[] = [];
  #toldBytes = 0;
  /** Up to here the stream is read. */
  #streamToSeq = 0;
  /** Open while it is behind that. */
  #stream: LogReader | undefined;
  #opening: Promise<void> | undefined;
  #takenSeq: number;
  #failure: Error | undefined;
  /** Of the last output that is known of. */
  #lastSeq = 0;

  constructor(log: Log, options: OwnReaderOptions) {
    this.#log = log;
    this.#options = options;
    this.#takenSeq = options.fromSeq - 1;
  }

  /** Asks how far the stream goes: up to there it is read. */
  async begin(): Promise<void> {
    const stored = await this.#log.last(this.#options.subject);
    const storedSeq = stored?.seq ?? 0;
    this.#lastSeq = Math.max(this.#lastSeq, storedSeq);
    this.#streamToSeq = Math.max(this.#streamToSeq, storedSeq);
    if (this.#isBehind()) await this.#openStream();
  }

  tell(outputs: readonly LogMessage[]): void {
    const { waitingBytesMax, wake } = this.#options;
    this.#lastSeq = outputs.at(-1)!.seq;
    const nothingWaited = this.#told.length === 0;
    this.#told.push(...outputs);
    for (const { payload } of outputs) this.#toldBytes += payload.byteLength;
    if (this.#toldBytes > waitingBytesMax && !nothingWaited) this.#fallBehind();
    wake();
  }

  take(bytesMax: number): LogMessage[] {
    const taken = this.#isBehind() ? (this.#stream?.take(bytesMax) ?? []) : this.#takeTold(bytesMax);
    this.#takenSeq = taken.at(-1)?.seq ?? this.#takenSeq;
    if (!this.#isBehind()) this.#closeStream().catch(() => undefined);
    return taken;
  }

  get bufferedBytes(): number {
    return this.#toldBytes + (this.#stream?.bufferedBytes ?? 0);
  }

  get bufferedMessages(): number {
    return this.#told.length + (this.#stream?.bufferedMessages ?? 0);
  }

  get pending(): number {
    return this.#stream?.pending ?? 0;
  }

  get failure(): Error | undefined {
    return this.#failure ?? this.#stream?.failure;
  }

  lastSeq(): Promise<number> {
    return Promise.resolve(this.#lastSeq);
  }

  async close(): Promise<void> {
    this.#options.onClosed();
    await this.#opening?.catch(() => undefined);
    await this.#closeStream();
  }

  #isBehind(): boolean {
    return this.#takenSeq < this.#streamToSeq;
  }

  /** Lets go of what waits: the stream has it. */
  #fallBehind(): void {
    this.#streamToSeq = this.#lastSeq;
    this.#told = [];
    this.#toldBytes = 0;
    if (this.#stream !== undefined) return;
    this.#openStream().catch((error: unknown) => {
      this.#failure = errorOf(error);
      this.#options.wake();
    });
  }

  #openStream(): Promise<void> {
    const { subject, wake } = this.#options;
    this.#opening ??= this.#log
      .read(subject, this.#takenSeq + 1, wake)
      .then((stream) => {
        this.#stream = stream;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  async #closeStream(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.close();
  }

  /** What the stream gave meanwhile is not given again. */
  #takeTold(bytesMax: number): LogMessage[] {
    const told = this.#told;
    let from = 0;
    while (from < told.length && told[from]!.seq <= this.#takenSeq) from++;
    let to = from;
    for (let bytes = 0; to < told.length; to++) {
      bytes += told[to]!.payload.byteLength;
      if (bytes > bytesMax && to > from) break;
    }
    const taken = told.slice(from, to);
    this.#told = told.slice(to);
    this.#toldBytes = this.#told.reduce((sum, { payload }) => sum + payload.byteLength, 0);
    return taken;
  }
}
