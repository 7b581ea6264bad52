/**
 * Brings events of a program into a region: each is checked at the same gate as everything else, and the program is told what
 * became of it. Owns the reports; sending is the LiveProducer's. `src/producer.ts` wires it to a nats-server.
 */
import type { ActorEvent } from '../actor/behaviour.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import type { EventChecker } from './check.js';
import { REFUSED_BODY_CHARS_MAX } from './event-frames.js';
import type { GroundswellEvent, RefusalReason } from './event.js';
import type { LiveProducer } from './live-producer.js';

/** Why an event was not taken: sending it again will not help. It is kept on the region's dead side subject. */
export interface Refused {
  readonly outcome: 'refused';
  /** `unneeded`: no behaviour of the region receives events of this type. */
  readonly reason: RefusalReason | 'unneeded';
  /** The field that is wrong, where it is one. */
  readonly field?: string;
  /** In words. */
  readonly message: string;
}

/** What became of an event. `delivered`: it is in the region's stream, and takes effect once, whatever crashes. */
export type DeliveryReport = { readonly outcome: 'delivered' } | Refused;

export interface ProducerStats {
  /** Events taken since this producer was opened. */
  readonly taken: number;
  /** Of those: in the region's stream. */
  readonly delivered: number;
  /** Not known to be there yet, refused ones among them. */
  readonly queued: number;
  /** Events refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Why the stream takes nothing at present; undefined when it does. */
  readonly failure: Error | undefined;
  /** Why the region takes no more events at present: its stream is nearly full, or its nodes are behind. */
  readonly overload: string | undefined;
}

/** An event as `docs/PROTOCOL.md` lists them; further fields pass through to behaviours. Anything else is refused. */
export type ProducedEvent = GroundswellEvent | Readonly<Record<string, unknown>>;

/** Brings events into a region: see `openProducer`, which makes them. */
export class EventProducer {
  readonly #live: LiveProducer;
  readonly #checker: EventChecker;
  readonly #disconnect: () => Promise<void>;
  readonly #refused = new Map<string, number>();
  #taken = 0;
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(live: LiveProducer, checker: EventChecker, disconnect: () => Promise<void>) {
    this.#live = live;
    this.#checker = checker;
    this.#disconnect = disconnect;
  }

  /**
   * Sends an event, and says what became of it. Waits for room, and for the stream's acknowledgement: do not wait for one
   * before the next, for those that are sent at the same time travel together.
   * @throws GroundswellError GS_LOG when the stream did not answer for ten seconds: it is not known whether the event is there,
   *   and it is still sent on. Sending it again counts it twice, unless it has an `id`. GS_FENCED as `offer`
   */
  async send(event: ProducedEvent): Promise<DeliveryReport> {
    for (;;) {
      const outcome = this.offer(event);
      if (outcome === 'full') {
        await this.#live.room();
        continue;
      }
      if (outcome !== 'taken') return outcome;
      await this.#live.flushed();
      return { outcome: 'delivered' };
    }
  }

  /**
   * Takes an event without waiting. `full`: it is not taken, for as many wait as may; offer it again when `room` resolves.
   * `taken`: it will be sent; `flush` says when it is there.
   * @throws GroundswellError GS_LOG when the producer is closed; GS_FENCED when another process has opened a producer with this
   *   id since, so that nothing of this one is stored any more; GS_REPLAY_OLD when a replay that was closed under this id has
   *   further events
   */
  offer(event: ProducedEvent): 'taken' | 'full' | Refused {
    if (this.#closed !== undefined)
      throw new GroundswellError('GS_LOG', 'The producer is closed.', { remedy: 'Open another one.' });
    if (this.#live.fenced) throw this.#live.failure!;
    let raw: unknown;
    try {
      raw = plain(event);
    } catch (error) {
      const message = `cannot be written as JSON: ${messageOf(error)}`;
      return this.#refuse(undefined, 'unknown', { outcome: 'refused', reason: 'malformed', message });
    }
    const checked = this.#checker.check(raw);
    if (checked.outcome === 'refused') {
      const { type, reason, field, message } = checked;
      return this.#refuse(raw, type, {
        outcome: 'refused',
        reason,
        ...(field === undefined ? {} : { field }),
        message,
      });
    }
    const accepted = checked.event as ActorEvent;
    const outcome = this.#live.offer(accepted);
    if (outcome === 'taken') this.#taken++;
    if (outcome !== 'unneeded') return outcome;
    const message = `no behaviour of the region receives ${accepted.type}`;
    return this.#refuse(raw, accepted.type, { outcome: 'refused', reason: 'unneeded', message });
  }

  /** Resolves as soon as `offer` would take an event. */
  room(): Promise<void> {
    return this.#live.room();
  }

  /**
   * Resolves when all that was taken before is in the region's stream.
   * @throws GroundswellError GS_LOG as `send`
   */
  flush(): Promise<void> {
    return this.#live.flushed();
  }

  get stats(): ProducerStats {
    const { queued, failure, overload } = this.#live;
    return {
      taken: this.#taken,
      delivered: Math.max(0, this.#taken - queued),
      queued,
      refused: Object.fromEntries(this.#refused),
      failure,
      overload: overload?.message,
    };
  }

  /**
   * Sends what was taken, says that nothing more will come, so that the region's time waits no longer for this producer, and
   * closes the connection.
   * @param options.upToMs event time, ms UTC: up to there windows need not wait for this producer's events. By default as far
   *   as its latest event allows; a replay that is alone in its region gives the end of its windows here to see them close
   * @throws GroundswellError GS_LOG when the stream did not take it all
   */
  close(options: { readonly upToMs?: number } = {}): Promise<void> {
    const { upToMs } = options;
    this.#closed ??= this.#live
      .stop({ end: true, ...(upToMs === undefined ? {} : { watermarkMs: upToMs }) })
      .finally(this.#disconnect);
    return this.#closed;
  }

  #refuse(raw: unknown, claimed: string, refused: Refused): 'full' | Refused {
    const { reason, message } = refused;
    const body = (JSON.stringify(raw) ?? String(raw)).slice(0, REFUSED_BODY_CHARS_MAX);
    const outcome = this.#live.refuse({ type: 'refused', ts: 0, claimed, reason, message, body });
    if (outcome === 'full') return 'full';
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
    return refused;
  }
}

/** The event as JSON has it, which is how the region gets it. What is nested is copied, for it is sent later. */
function plain(event: ProducedEvent): unknown {
  if (typeof event !== 'object' || event === null) return event;
  for (const key in event) {
    const value = (event as Readonly<Record<string, unknown>>)[key];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') continue;
    return JSON.parse(JSON.stringify(event)) as unknown;
  }
  return event;
}
