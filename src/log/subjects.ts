/** Subjects and streams of a region: the one place where they are written (`docs/PROTOCOL.md` lists them). */
import { partitionToken } from '../core/ids.js';

export class Subjects {
  readonly region: string;
  constructor(region: string) {
    this.region = region;
  }

  /** Inputs, journals and outputs of all partitions. */
  get engineStream(): string {
    return `GS_${this.region}`;
  }
  /** Rows for analysts. */
  get aggregateStream(): string {
    return `GS_${this.region}_AGG`;
  }
  /** Late events, dead letters, audit. */
  get sideStream(): string {
    return `GS_${this.region}_SIDE`;
  }
  /** Raw single events, from programs of any language. */
  get ingestStream(): string {
    return `GS_${this.region}_INGEST`;
  }
  /** Key-value bucket of the leases by which nodes find each other. */
  get nodesBucket(): string {
    return `GS_${this.region}_NODES`;
  }
  /** Bucket of the object store with base snapshots and snapshots of the region. */
  get baseBucket(): string {
    return `GS_${this.region}_BASE`;
  }
  get engineSubjects(): string {
    return `gs.${this.region}.p.>`;
  }
  get aggregateSubjects(): string[] {
    return [`gs.${this.region}.agg.>`, `gs.${this.region}.surge.>`, `gs.${this.region}.cursor.agg.>`];
  }
  get sideSubjects(): string[] {
    return [
      `gs.${this.region}.late.>`,
      `gs.${this.region}.dead.>`,
      `gs.${this.region}.audit.>`,
      `gs.${this.region}.cursor.side.>`,
    ];
  }

  get ingestSubjects(): string {
    return `gs.${this.region}.ingest.*`;
  }

  /** Raw events of a type, with underscores for dots. */
  ingest(type: string): string {
    return `gs.${this.region}.ingest.${type.replaceAll('.', '_')}`;
  }
  /** How far raw events were taken: in the engine's stream, so that it moves with the frames that were made of them. */
  get ingestCursor(): string {
    return `gs.${this.region}.p.ingest.cursor`;
  }

  events(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.in.ev`;
  }
  mail(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.in.mail`;
  }
  /** Holds a message while the partition's owner asks producers to wait. */
  hold(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.hold`;
  }
  get allHolds(): string {
    return `gs.${this.region}.p.*.hold`;
  }
  /** Its last message is the claim of the process that uses a producer's id now; no input of a partition. */
  session(producer: string): string {
    return `gs.${this.region}.p.producer.session.${subjectToken(producer)}`;
  }
  /** Both inputs of a partition, in stream order. */
  inputs(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.in.*`;
  }
  journal(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.journal`;
  }
  get allJournals(): string {
    return `gs.${this.region}.p.*.journal`;
  }
  out(partition: number): string {
    return `gs.${this.region}.p.${partitionToken(partition)}.out`;
  }
  /** Outputs of all partitions. */
  get allOut(): string {
    return `gs.${this.region}.p.*.out`;
  }

  /** Marks a place between two batches, at which a snapshot of the whole region is taken. */
  get snapshotCut(): string {
    return `gs.${this.region}.p.snapshot.cut`;
  }

  /** Rows: one token per geohash character, so that a wildcard covers everything under a prefix. */
  aggregate(window: string, level: string, key: string): string {
    if (level === 'region') return `gs.${this.region}.agg.${window}.region`;
    return `gs.${this.region}.agg.${window}.${level}.${[...key].join('.')}`;
  }
  surge(cell: string): string {
    return `gs.${this.region}.surge.${[...cell].join('.')}`;
  }
  /** Cursor of the publisher of a partition's outputs: in the stream that it publishes to, out of analysts' sight. */
  aggregateCursor(partition: number): string {
    return `gs.${this.region}.cursor.agg.${partitionToken(partition)}`;
  }
  sideCursor(partition: number): string {
    return `gs.${this.region}.cursor.side.${partitionToken(partition)}`;
  }
  /** What is asked of one node, by its id; `*` for all that may be asked. Nothing of it is stored. */
  node(id: string, question: string): string {
    return `gs.${this.region}.node.${id}.${question}`;
  } /** Says that the dead letter with a sequence was replayed. */
  replayed(seq: number): string {
    return `gs.${this.region}.audit.replayed.${seq}`;
  }
  /** All publishers' cursors in a stream that rows or side outputs are published to. */
  cursorsOf(stream: string): string {
    return `gs.${this.region}.cursor.${stream === this.sideStream ? 'side' : 'agg'}.*`;
  }
  /** Event types go onto subjects with underscores for dots; anything odd becomes `unknown`. */
  side(kind: 'late' | 'dead', type: string): string {
    const token = type.replaceAll('.', '_');
    return `gs.${this.region}.${kind}.${/^[a-z0-9_-]{1,64}$/.test(token) ? token : 'unknown'}`;
  }
}

/** One token for any name: what has a meaning in subjects, and what is not plain ASCII, is written as %XX. */
function subjectToken(name: string): string {
  return encodeURIComponent(name).replace(
    /[.*!'()~]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Partition of an input, journal or output subject. */
export function partitionOfSubject(subject: string): number {
  return Number(subject.split('.')[3]);
}

/** True for the event input of a partition, false for its mail. */
export function isEventSubject(subject: string): boolean {
  return subject.endsWith('.ev');
}
