/**
 * What a feature author writes: `defineActor` takes the behaviour of one actor type — its state, what it receives,
 * what it sends, its timers. Handlers are synchronous and perform nothing: they change their own state and push
 * effects through the context; the engine commits all of it together or none of it (P2, P4).
 */
import type { ByteWriter } from '../core/bytes.js';
import type { RowDraft } from './row.js';

/** An outside event as a handler sees it: checked fields, unknown ones passed through. */
export interface ActorEvent {
  readonly type: string;
  /** Event time, ms UTC. */
  readonly ts: number;
  /** The cell of `lat`, `lon`, where the event has a position. */
  readonly cell?: string;
  /** Idempotency key: a second event with it is dropped within the duplicate window. */
  readonly id?: string;
  readonly [field: string]: unknown;
}

/** What a handler may see and say. Valid during the call only: never keep it. */
export interface ActorContext {
  readonly region: string;
  /** This actor's key: the part of its address after the slash. */
  readonly key: string;
  /** Event time up to which this actor's stage is closed, ms UTC, exclusive: nothing older comes, but late data. */
  readonly watermark: number;
  /**
   * Sends a message to another actor. Visible to nobody before the step is committed. Messages to the same
   * actor, with the same name and time, are merged when the receiver declares `combine` for that name.
   * @param atMs event time that the message is about, ms UTC
   * @param body plain data (numbers, strings, arrays, objects); not to be touched after the call. What a frame cannot hold
   *   (a function, a symbol, an object in itself) fails the call
   */
  send(type: string, key: string, name: string, atMs: number, body: unknown): void;
  /** Sets the named event-time timer of this actor; a timer of that name that was set before is replaced. */
  schedule(timer: string, atMs: number): void;
  cancel(timer: string): void;
  /** When the named timer is due, ms UTC; undefined when it is not set. */
  due(timer: string): number | undefined;
  /** Emits a row for the world. Its values are finite numbers: any other fails the call. */
  emit(row: RowDraft): void;
  /**
   * Shows values of this actor as of now, for live views: what was shown before is replaced, and the last of a commit
   * counts. Provisional and not kept: windows make rows, this is what one sees until then. Names do not change.
   */
  show(values: Readonly<Record<string, number>>): void;
  /** Puts an event that came too late on the late side subject, and counts it. */
  late(event: ActorEvent): void;
  /** Puts something that cannot be processed on the dead side subject with the reason, and counts it. */
  dead(type: string, reason: string, body: unknown): void;
  /** Adds to a counter that is committed with the step: exact over crashes. */
  count(name: string, by?: number): void;
  /** Forgets this actor: state and timers are removed with this step. */
  forget(): void;
}

export interface EventHandler<S> {
  /** The event's field that holds this actor's key. */
  readonly key: string;
  handle(state: S, event: ActorEvent, ctx: ActorContext): void;
}

export interface MessageHandler<S, B = never> {
  /**
   * Merges two messages that are about the same time into one, wherever they meet before they are delivered: on the sender, and
   * of several partitions in one process. Must be commutative and associative. May change and return `into`. This is the
   * answer to hot cells: whatever the heat, an actor gets at most one message per partition and commit.
   */
  combine?(into: B, from: B): B;
  handle(state: S, body: B, ctx: ActorContext, atMs: number): void;
}

/** A type that an actor sends to. `async` sends carry no time and may close a cycle. */
export type Send = string | { readonly to: string; readonly async: true };

/**
 * The behaviour of an actor type.
 *
 * @example
 * const counter = defineActor({
 *   type: 'counter',
 *   sends: [],
 *   state: () => ({ seen: 0 }),
 *   events: {
 *     'session.opened': { key: 'riderId', handle: (state) => { state.seen += 1; } },
 *   },
 * });
 */
export interface Behaviour<S = unknown> {
  /** One subject token, unique in the region: `driver`, `cell`. */
  readonly type: string;
  /** Types this one sends to: they give the order of stages. */
  readonly sends: readonly Send[];
  /** State of an actor that has never been addressed before. */
  state(key: string): S;
  /**
   * How the state is stored; without it, as it is (plain data). What is stored as bytes is written to `writer`, which is then
   * given back, and comes back as a Uint8Array.
   */
  readonly store?: { encode(state: S, writer: ByteWriter): unknown; decode(stored: unknown): S };
  /** How the state is shown to people who look inside: plain data; without it, as it is stored. */
  readonly look?: (state: S) => unknown;
  /** Outside events, by type. */
  readonly events?: Readonly<Record<string, EventHandler<S>>>;
  /** Messages of other actors, by name. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each name has a body type of its own
  readonly messages?: Readonly<Record<string, MessageHandler<S, any>>>;
  /** Event-time timers, by name. */
  readonly timers?: Readonly<Record<string, (state: S, ctx: ActorContext, atMs: number) => void>>;
  /**
   * For timers that set themselves again: one whose call failed is set again so much later, ms of event time, so that an
   * actor goes on though one of its minutes is lost. Without it, a timer that failed is gone.
   */
  readonly failedTimerAgainMs?: number;
}

/** Declares an actor type. Gives the behaviour back, typed; the registry checks it at start. */
export function defineActor<S>(behaviour: Behaviour<S>): Behaviour<S> {
  return behaviour;
}
