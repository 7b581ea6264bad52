/** `groundswell replay --nats`: brings the events of a trace in at a speed, while nodes elsewhere do the work. */
import { Child, Lines } from './children.js';
import { ENV, MAIN } from './command.js';
import type { Trace } from './trace.js';

export interface ReplayOptions {
  readonly trace: Trace;
  readonly region: string;
  readonly regionFile: string;
  readonly nats: string;
  readonly rowsFile: string;
}

/** What the last line of `--json` says, as far as it is looked at here. */
export interface ReplaySummary {
  readonly events: number;
  readonly accepted: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly late: number;
  readonly impossible: number;
  readonly duplicates: number;
  readonly rows: Readonly<Record<string, number>>;
  readonly resumed: number;
}

export class ReplayProcess {
  readonly #options: ReplayOptions;
  #child: Child | undefined;
  #summary: Promise<ReplaySummary> | undefined;
  #through = false;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** Every window is final, and it has ended well. */
  get through(): boolean {
    return this.#through;
  }

  /** @param speed `60x`, or `max` */
  start(speed: string): void {
    const { trace, region, regionFile, nats, rowsFile } = this.#options;
    const words = ['replay', trace.file, '--region', region, '--config', regionFile, '--nats', nats];
    const how = ['--out', rowsFile, '--speed', speed, '--json', ...trace.replayArgs];
    const child = new Child(process.execPath, [MAIN, ...words, ...how], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: ENV,
    });
    this.#child = child;
    const said = new Lines(() => undefined, 5);
    const complained = new Lines(() => undefined, 5);
    child.process.stdout!.on('data', (chunk: Buffer) => {
      said.add(chunk.toString());
    });
    child.process.stderr!.on('data', (chunk: Buffer) => {
      complained.add(chunk.toString());
    });
    const summary = child.ended.then(({ code, signal }) => {
      if (code !== 0) throw new Error(`the replay ended (${signal ?? code}): ${complained.last.join(' | ')}`);
      this.#through = true;
      return JSON.parse(said.last.at(-1)!) as ReplaySummary;
    });
    summary.catch(() => undefined);
    this.#summary = summary;
  }

  /** Rejects when it ends without having done it all; resolves when it has. */
  get finished(): Promise<ReplaySummary> {
    if (this.#summary === undefined) throw new Error('the replay was not started');
    return this.#summary;
  }

  /** SIGKILL, as a machine that dies: started again it is to go on where it was. */
  async kill(): Promise<void> {
    this.#summary = undefined;
    await this.#child?.kill();
  }
}
