/**
 * A step as it is being made: takes what the partition is told, one operation after the other, and moves on from where the
 * partition stood. It lasts until it is made again or its calls are made otherwise; then another one takes its place.
 */
import type { Registry } from '../actor/registry.js';
import type { ActorId } from '../core/ids.js';
import { actorOrder } from './actor-order.js';
import type { ActorTable } from './actor-table.js';
import type { Caution } from './caution.js';
import { judgedByTime } from './clock-ahead.js';
import { Delivery } from './delivery.js';
import { Dispatcher } from './dispatcher.js';
import type { EventIdRules } from './event-ids.js';
import { openEventFrame, openMailFrame, type MailMessage } from './frame.js';
import type { HandlerGuard } from './handler-guard.js';
import { Outbox } from './outbox.js';
import { CallFailed, textOf, type PoisonRules } from './poison.js';
import type { QuarantinedActor } from './quarantine.js';
import { StepEffects, type Effects } from './step-effects.js';
import type { StepFacts } from './step-facts.js';
import type { HeardShare, Operation, OperationOf } from './step-log.js';
import type { TimerQueue } from './timers.js';

export interface StepParts {
  readonly region: string;
  readonly partition: number;
  readonly partitions: number;
  readonly registry: Registry;
  /** Marks move by panes of this length, ms. */
  readonly paneMs: number;
  readonly ids: EventIdRules;
  readonly rules: PoisonRules;
  readonly guard: HandlerGuard | undefined;
  readonly caution: Caution;
  readonly actors: ActorTable;
  readonly timers: readonly TimerQueue[];
  readonly quarantined: Map<ActorId, QuarantinedActor>;
  /** Number of the commit that this goes into. */
  nextCommit(): number;
  /** Time has passed, and nobody was called. */
  onQuiet(operation: Operation): void;
}

export class Step {
  /** Where the partition stands, and what it has said. */
  readonly facts: StepFacts;
  readonly effects: StepEffects;
  readonly #parts: StepParts;
  readonly #delivery: Delivery;

  /** @param facts where the partition stands: moved on from here */
  constructor(parts: StepParts, facts: StepFacts) {
    const { registry, rules, ids, actors, timers, quarantined, caution, guard } = parts;
    this.#parts = parts;
    this.facts = facts;
    this.effects = new StepEffects(timers, parts.partitions, facts.counters);
    this.#delivery = new Delivery({
      registry,
      rules,
      ids,
      actors,
      facts,
      effects: this.effects,
      timers,
      quarantined,
      careful: caution.careful,
      guard: caution.each ? guard : undefined,
      dispatcher: (effects) => this.#dispatcher(effects),
      nextCommit: () => parts.nextCommit(),
      onFailure: () => {
        caution.failed();
      },
    });
    for (let stage = 0; stage < timers.length; stage++) this.#raiseLimit(stage);
  }

  /**
   * @returns the events of a frame, the messages of a mail, the timers that fired
   * @throws CallFailed, HandlerTimeout when the step must be made again, more carefully
   */
  perform(operation: Operation): number {
    const done = this.#performed(operation);
    // A handler may have caught the error itself; what could not be merged is damaged all the same.
    if (this.effects.broken) throw new CallFailed('threw', 'Messages could not be merged.');
    return done;
  }

  /** Time passes and nobody hears of it: most often so, and then no watch is spent on it. */
  callsNobody(operation: Operation): boolean {
    if (operation.kind !== 'time' || this.effects.waits) return false;
    const { producers, limits } = this.facts;
    // No stage can close further than the first.
    const watermarkMs = producers.watermarkMs(operation.wallMs) ?? 0;
    return this.#parts.timers.every(
      ({ earliestMs = Number.POSITIVE_INFINITY }, stage) =>
        earliestMs > Math.max(watermarkMs, limits[stage]!),
    );
  }

  /** What was done until now is committed. */
  settle(): void {
    this.#delivery.settle();
  }

  #performed(operation: Operation): number {
    switch (operation.kind) {
      case 'events':
        return this.#takeEvents(operation);
      case 'mail':
        return this.#takeMail(operation);
      case 'heard':
        return this.#hear(operation);
      case 'time':
        return this.#letTimePass(operation);
    }
  }

  #takeEvents({ bytes, seq, wallMs, storedMs }: OperationOf<'events'>): number {
    const frame = openEventFrame(bytes);
    const { count, producer, mode } = frame;
    const { producers } = this.facts;
    const known = producers.producers.get(producer)?.seq ?? (mode === 'live' ? frame.seq : 0);
    if (frame.seq > known) this.effects.count('missing', frame.seq - known);
    const nowMs = Math.max(wallMs, storedMs);
    const seen = producers.hear(frame, wallMs, nowMs);
    if (seen > 0) this.effects.count('repeated', seen);
    const latestMs = producers.latestMs(mode, nowMs);
    const order = actorOrder(frame.events, count, this.#parts.registry.routes);
    for (let i = 0; i < count; i++) {
      const place = order === undefined ? i : order[i]!;
      if (place >= seen) this.#delivery.event(judgedByTime(frame.at(place), latestMs));
    }
    this.facts.took(seq, count > 0 || frame.end);
    this.#observe(wallMs);
    return count;
  }

  #takeMail({ bytes, seq }: OperationOf<'mail'>): number {
    const { marks } = this.facts;
    let told = 0;
    for (const { from, marks: raised, count, type, key, name, atMs, body } of openMailFrame(bytes)) {
      told += count;
      for (let i = 0; i < count; i++) this.#delivery.message(type(i), key(i), name(i), atMs(i), body(i));
      marks.raiseAll(from, raised);
    }
    this.facts.took(seq, told > 0);
    this.#raiseLaterLimits();
    return told;
  }

  #hear({ said }: OperationOf<'heard'>): number {
    const messages = this.#merged(said);
    this.#deliver(messages);
    for (const { from, marks } of said) this.facts.marks.raiseAll(from, marks);
    this.#raiseLaterLimits();
    this.facts.heard();
    return messages.length;
  }

  /**
   * What several partitions say merges as what one says does: an actor that is told by all of them is called once.
   * @throws CallFailed when it cannot be merged
   */
  #merged(said: readonly HeardShare[]): readonly MailMessage[] {
    const spoken = said.filter(({ messages }) => messages.length > 0);
    if (spoken.length === 1) return spoken[0]!.messages;
    const { types } = this.#parts.registry;
    const inbox = new Outbox();
    try {
      for (const { messages } of spoken)
        for (const message of messages)
          inbox.put(message, types.get(message[0])?.behaviour.messages?.[message[2]]);
    } catch (error) {
      throw new CallFailed('threw', `Messages could not be merged: ${textOf(error)}`, error);
    }
    return inbox.take();
  }

  #letTimePass(operation: OperationOf<'time'>): number {
    const { wallMs, timersMax } = operation;
    const { timers, actors, partition, paneMs } = this.#parts;
    const quiet = !this.effects.waits;
    actors.step++;
    this.#observe(wallMs);
    let fired = 0;
    for (const [stage, queue] of timers.entries()) {
      this.#deliver(this.effects.local[stage]!.take());
      this.#raiseLimit(stage);
      while (fired < timersMax) {
        const due = queue.takeDue(this.facts.limits[stage]!, timersMax - fired);
        if (due === undefined) break;
        // One that is passed over counts too: a bite has its size.
        for (const actor of due.actors) fired += Math.max(1, this.#delivery.timer(actor, due.name, due.atMs));
      }
      this.facts.close(stage, queue.earliestMs ?? Number.POSITIVE_INFINITY);
      this.facts.giveMark(stage, partition, paneMs);
    }
    if (quiet && fired === 0) this.#parts.onQuiet(operation);
    return fired;
  }

  #deliver(messages: readonly MailMessage[]): void {
    // By their places: taking a list apart asks it for its elements one by one.
    for (const message of messages)
      this.#delivery.message(message[0], message[1], message[2], message[3], message[4]);
  }

  /** Moves stage 0's limit with the watermark that producers and the clock allow. */
  #observe(wallMs: number): void {
    if (this.facts.observe(wallMs)) this.#raiseLimit(0);
  }

  /** Moves the limits of the stages that follow marks. */
  #raiseLaterLimits(): void {
    for (let stage = 1; stage < this.#parts.timers.length; stage++) this.#raiseLimit(stage);
  }

  #raiseLimit(stage: number): void {
    this.facts.raiseLimit(stage, this.#parts.timers[stage]!.earliestMs ?? Number.POSITIVE_INFINITY);
  }

  #dispatcher(effects: Effects): Dispatcher {
    const { region, partition, partitions, registry, actors } = this.#parts;
    return new Dispatcher({
      region,
      partition,
      partitions,
      registry,
      marks: this.facts.marks,
      limits: this.facts.limits,
      effects,
      activate: (type, key) => actors.activate(type, key),
      markDirty: (actor) => {
        actors.markDirty(actor);
      },
    });
  }
}
