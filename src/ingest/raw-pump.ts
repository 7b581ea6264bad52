/**
 * Takes raw single events, which programs of any language publish on the ingest subjects, through the same gate and the same
 * frames as everything else. Owns the cursor: how far raw messages were taken, and the producer's sequence in each partition
 * after them. It is written in the same atomic batch as the frames, compared and set, so each raw event takes effect once,
 * whatever crashes (P3), and of two pumps only one can work: the other stands by, and looks again later (P1).
 */
import { errorOf } from '../core/errors.js';
import { Wakeup } from '../core/wakeup.js';
import { QUIET_MS, TELL_EVERY_MS } from './live-watermark.js';
import { findCursor } from './raw-cursor.js';
import { RawRounds, type RoundOptions, type Turn } from './raw-rounds.js';

const DEFAULTS = {
  /** Most messages of one round, and most bytes of them: a round is one batch. */
  roundMessagesMax: 512,
  roundBytesMax: 512 * 1024,
  /** All partitions hear the watermark at least so often, ms. */
  watermarkEveryMs: TELL_EVERY_MS,
  /** After so long without an event the watermark follows the wall clock, ms. */
  quietMs: QUIET_MS,
  /** How long the stream may not take a batch before the pump fails, and begins again, ms. */
  patienceMs: 10_000,
  /** A round begins at least so long after one that was not full, ms. */
  lingerMs: 10,
  /** A pump that stands by takes over when the other one has not moved for so long, ms. */
  standByMs: 5_000,
};

/** What a pump stands on; the bounds and times of `DEFAULTS` may be given too. */
export type RawPumpOptions = Omit<RoundOptions, keyof typeof DEFAULTS> & Partial<typeof DEFAULTS>;

export interface RawCounters {
  /** Events that were taken. */
  readonly taken: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Messages that the stream of raw events had removed before they could be taken. */
  readonly missing: number;
}

/** Pause after a failure, ms. */
const PAUSE_MS = 1_000;
/** What was taken is removed so often, ms: the stream of raw events is bounded, and refuses more when it is full. */
const TIDY_EVERY_MS = 10_000;

/** `working` moves the cursor, `standby` watches another one do it. */
export type RawPumpState = 'starting' | 'working' | 'standby' | 'failing' | 'stopped';

export class RawPump {
  readonly #options: RoundOptions & typeof DEFAULTS;
  readonly #wakeup: Wakeup;
  /** Woken once, by `stop`. */
  readonly #stopSignal: Wakeup;
  readonly #refused = new Map<string, number>();
  #taken = 0;
  #missing = 0;
  #rounds = 0;
  #state: RawPumpState = 'starting';
  #failure: Error | undefined;
  #rounding: RawRounds | undefined;
  #tidyAtMs = 0;
  #stopping = false;
  #running: Promise<void> | undefined;

  constructor(options: RawPumpOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#wakeup = new Wakeup(options.clock);
    this.#stopSignal = new Wakeup(options.clock);
  }

  get state(): RawPumpState {
    return this.#state;
  }

  /** What keeps it from working; undefined again as soon as it works. It begins again by itself. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Raw messages that wait to be taken, as of the last look. */
  get lag(): number {
    return this.#rounding?.lag ?? 0;
  }

  /** Since the start of this process. */
  get counters(): RawCounters {
    return { taken: this.#taken, refused: Object.fromEntries(this.#refused), missing: this.#missing };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Finishes the round under way. What it has not taken, the next pump takes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wakeup.wake();
    this.#stopSignal.wake();
    await this.#running;
    this.#state = 'stopped';
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        const fencedBy = await this.#work();
        // Its own cursor, of a batch that was given up: it tells where to begin again.
        if (fencedBy !== undefined && fencedBy !== this.#options.writer) await this.#standBy();
      } catch (error) {
        this.#failure = errorOf(error);
        this.#state = 'failing';
        await this.#stopSignal.wait(PAUSE_MS);
      }
    }
  }

  /** Works until it is stopped, or fenced off: then gives by whom. */
  async #work(): Promise<string | undefined> {
    const rounds = await RawRounds.open(
      this.#options,
      () => ++this.#rounds,
      () => {
        this.#wakeup.wake();
      },
    );
    this.#rounding = rounds;
    try {
      while (!this.#isStopping()) {
        this.#wakeup.arm();
        const turn = await rounds.turn();
        if (turn.outcome === 'fenced') return turn.by;
        this.#state = 'working';
        this.#failure = undefined;
        if (turn.outcome === 'idle') {
          await this.#wakeup.wait(turn.dueInMs);
          continue;
        }
        this.#moved(turn);
        await this.#tidy(rounds);
        // What comes meanwhile goes along: single messages must not make a batch each.
        if (!turn.full) await this.#stopSignal.wait(this.#options.lingerMs);
      }
      return undefined;
    } finally {
      this.#rounding = undefined;
      await rounds.close();
    }
  }

  #moved({ taken, refused, missing }: Extract<Turn, { outcome: 'moved' }>): void {
    this.#taken += taken;
    this.#missing += missing;
    for (const { reason } of refused) this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  /** Watches the cursor until it has not moved for a while. */
  async #standBy(): Promise<void> {
    const { log, subjects, partitions, standByMs } = this.#options;
    this.#state = 'standby';
    this.#failure = undefined;
    for (let seen = -1; !this.#stopping;) {
      const { at } = await findCursor(log, subjects.ingestCursor, partitions);
      if (at === seen) return;
      seen = at;
      await this.#stopSignal.wait(standByMs);
    }
  }

  /** Keeps the streams from growing with what was taken; what cannot be removed now is at the next time. */
  async #tidy(rounds: RawRounds): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs < this.#tidyAtMs) return;
    this.#tidyAtMs = nowMs + TIDY_EVERY_MS;
    await rounds.tidy().catch(() => undefined);
  }

  #isStopping(): boolean {
    return this.#stopping;
  }
}
