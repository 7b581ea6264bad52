/** Output frames as partitions commit them, without the engine: for tests of what reads them. */
import type { Row } from '../../src/actor/row.js';
import type { MemoryLog } from '../../src/log/memory/memory-log.js';
import type { Subjects } from '../../src/log/subjects.js';
import { encodeOutput, type ShownBlock } from '../../src/partition/output.js';
import { RowBlocks } from '../../src/partition/row-block.js';

export interface Said {
  readonly rows?: readonly Row[];
  readonly shown?: readonly ShownBlock[];
  /** Of the partition: what its producers promise. */
  readonly watermarkMs: number;
  /** Up to which the last stage is closed there; the watermark when it is not given. */
  readonly closedMs?: number;
}

export class RegionOutputs {
  readonly #log: MemoryLog;
  readonly #subjects: Subjects;
  /** Small, and one commit takes several frames. */
  readonly #frameBytesMax: number;
  #commit = 0;

  constructor(log: MemoryLog, subjects: Subjects, frameBytesMax = 1024 * 1024) {
    this.#log = log;
    this.#subjects = subjects;
    this.#frameBytesMax = frameBytesMax;
  }

  /** Commits what a partition says. */
  say(partition: number, { rows = [], shown = [], watermarkMs, closedMs = watermarkMs }: Said): void {
    const blocks = new RowBlocks();
    for (const row of rows) blocks.add(row);
    const progress = {
      partition,
      commit: ++this.#commit,
      watermarkMs,
      closed: [watermarkMs, closedMs, closedMs],
      latestTimerMs: 0,
      counters: {},
    };
    const output = { progress, blocks: blocks.take(), sides: [], shown: [...shown] };
    const subject = this.#subjects.out(partition);
    this.#log.appendNow(encodeOutput(output, this.#frameBytesMax).map((payload) => ({ subject, payload })));
  }
}

/** Live values as a frame carries them. All have the same names. */
export function shownBlock(values: Readonly<Record<string, Readonly<Record<string, number>>>>): ShownBlock {
  const keys = Object.keys(values);
  const names = Object.keys(values[keys[0]!]!);
  return ['live', names, keys, keys.flatMap((key) => names.map((name) => values[key]![name]!))];
}
