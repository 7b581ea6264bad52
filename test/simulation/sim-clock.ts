/**
 * Virtual time: one scheduler for all simulated processes, and a clock per process. An event is what happens at one moment
 * to one process; the next one happens when everything that it set going has come to rest. So a run is a function of its
 * seed alone, and a process can be frozen, or end, between any two events.
 *
 * Models: FoundationDB's simulator, TigerBeetle's VOPR.
 */
import type { Clock } from '../../src/core/clock.js';
import type { WallTimeMs } from '../../src/core/ids.js';
import type { Dice } from './dice.js';

interface SimEvent {
  atMs: number;
  /** Among events of one moment the lowest comes first. */
  turn: number;
  order: number;
  readonly owner: SimProcess | undefined;
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
}

export interface TraceLine {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

const realImmediate = globalThis.setImmediate;
/** What a turn of a loop costs, ms: time goes on while a process computes. */
const TURN_MS = 0.4;
/** Times are whole numbers of these, ms: a power of two, so that sums and differences of times are exact. */
const TICK_MS = 1 / 1024;

/** Lets everything come to rest that the last event has set going. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    realImmediate(resolve);
  });
}

export class Scheduler {
  nowMs = 0;
  events = 0;
  /** Of everything that happened: two runs with the same one were the same. */
  hash = 0x811c9dc5;
  /** Set to keep the lines of the trace. */
  trace: ((line: TraceLine) => void) | undefined;
  readonly #dice: Dice;
  readonly #heap: SimEvent[] = [];
  #order = 0;
  #current: SimProcess | undefined;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Has something happen to a process (or to nobody in particular) after a delay. The returned function cancels it. */
  after(delayMs: number, owner: SimProcess | undefined, label: string, run: () => void): () => void {
    const turn = this.#dice.int(0, 0xffff);
    const event: SimEvent = {
      atMs: this.nowMs + Math.ceil(Math.max(0, delayMs) / TICK_MS) * TICK_MS,
      turn,
      order: this.#order++,
      owner,
      label,
      run,
      cancelled: false,
    };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Writes a line into the trace, and into the hash. */
  note(who: string, what: string): void {
    this.#mix(who);
    this.#mix(what);
    this.trace?.({ atMs: this.nowMs, who, what });
  }

  /** Lets things happen until a condition holds, or a moment has come. Gives whether the condition holds. */
  async run(done: () => boolean, untilMs: number): Promise<boolean> {
    // A loop of the engine lets others have their turn by setImmediate: here that is an event like any other.
    globalThis.setImmediate = ((callback: () => void): void => {
      if (this.#current === undefined) realImmediate(callback);
      else this.#current.after(this.#dice.between(0, TURN_MS), 'turn', callback);
    }) as typeof setImmediate;
    try {
      for (;;) {
        if (done()) return true;
        const event = this.#pop();
        if (event === undefined) return done();
        if (event.atMs > untilMs) {
          this.#push(event);
          this.nowMs = untilMs;
          return false;
        }
        if (event.cancelled) continue;
        await this.#happen(event);
      }
    } finally {
      globalThis.setImmediate = realImmediate;
    }
  }

  async #happen(event: SimEvent): Promise<void> {
    const { owner, label, atMs } = event;
    this.nowMs = Math.max(this.nowMs, atMs);
    if (owner !== undefined) {
      if (!owner.alive) return;
      if (owner.hold(() => this.#again(event))) return;
    }
    this.events++;
    this.#mixNumber(this.nowMs / TICK_MS);
    this.note(owner?.name ?? '', label);
    this.#current = owner;
    event.run();
    await settled();
    this.#current = undefined;
  }

  /** What a frozen process did not hear of happens when it goes on, in its order. */
  #again(event: SimEvent): void {
    event.atMs = this.nowMs;
    event.turn = 0;
    event.order = this.#order++;
    this.#push(event);
  }

  #mix(text: string): void {
    let hash = this.hash;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    this.hash = hash >>> 0;
  }

  #mixNumber(value: number): void {
    this.hash = Math.imul(this.hash ^ (value | 0), 0x01000193) >>> 0;
  }

  #push(event: SimEvent): void {
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.turn !== b.turn ? a.turn < b.turn : a.order < b.order;
}

/** A process of the simulation: what belongs to it happens while it lives, and not while it is frozen. */
export class SimProcess {
  readonly name: string;
  readonly clock: SimClock;
  readonly scheduler: Scheduler;
  #alive = true;
  #frozen = false;
  #held: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];

  constructor(name: string, scheduler: Scheduler, wallStartMs: number) {
    this.name = name;
    this.scheduler = scheduler;
    this.clock = new SimClock(this, wallStartMs);
  }

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  after(delayMs: number, label: string, run: () => void): () => void {
    if (!this.#alive) return () => undefined;
    return this.scheduler.after(delayMs, this, label, run);
  }

  /** Called when the process ends, however it ends. */
  onEnd(callback: () => void): void {
    this.#onEnd.push(callback);
  }

  /** As `kill -9`: nothing of it happens any more. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held = [];
    for (const callback of this.#onEnd) callback();
  }

  /** As SIGSTOP. */
  freeze(): void {
    this.#frozen = true;
  }

  /** As SIGCONT: what it missed happens now. */
  thaw(): void {
    this.#frozen = false;
    for (const again of this.#held.splice(0)) again();
  }

  /** Keeps an event of a frozen process. False when the process is not frozen. */
  hold(again: () => void): boolean {
    if (this.#frozen) this.#held.push(again);
    return this.#frozen;
  }
}

/** The time as a process sees it: its wall clock may be wrong, and may jump. */
export class SimClock implements Clock {
  readonly #process: SimProcess;
  readonly #wallStartMs: number;
  readonly #bootMs: number;
  /** How far the wall clock is ahead of the others'. */
  skewMs = 0;

  constructor(process: SimProcess, wallStartMs: number) {
    this.#process = process;
    this.#wallStartMs = wallStartMs;
    this.#bootMs = process.scheduler.nowMs;
  }

  now(): WallTimeMs {
    return Math.floor(this.#wallStartMs + this.#process.scheduler.nowMs + this.skewMs) as WallTimeMs;
  }

  monotonic(): number {
    return this.#process.scheduler.nowMs - this.#bootMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#process.after(delayMs, 'timer', callback);
  }
}
