/**
 * Messages that a step has said to actors of one place and not yet sent. Merges what may be merged (`combine`) before anything
 * leaves, so that an actor, however hot, gets at most one message per partition, commit, name and time; and what several partitions of
 * a process have said, so that it gets one of all of them.
 */
import type { MailMessage } from './frame.js';

/** What the outbox needs to know of a message's receiver. */
export interface Mergeable {
  combine?(into: unknown, from: unknown): unknown;
}

/** A message that others may still be merged into: whoever says it keeps nothing of it. */
export type OpenMessage = [...MailMessage];

/** Where messages of one type, name and time stand, by whom they are for. */
interface Slots {
  readonly type: string;
  readonly name: string;
  readonly atMs: number;
  readonly at: Map<string, number>;
}

export class Outbox {
  /**
   * As they were said. Nothing else here points at a message: a table that outlives the messages in it, such as the one that a
   * Map had before it grew or was cleared, would carry them all into the old generation.
   */
  #messages: OpenMessage[] = [];
  /** What others may be merged into, by time. */
  readonly #slots = new Map<number, Slots[]>();
  /** Those of the message before: most are told the same minute. */
  #last: Slots | undefined;
  /** A merge has failed on the way: what is here cannot be relied on. */
  broken = false;

  /** Messages that wait. */
  get size(): number {
    return this.#messages.length;
  }

  put(message: OpenMessage, receiver: Mergeable | undefined): void {
    const same = receiver?.combine === undefined ? this.#add(message) : this.#addUnlessSame(message);
    if (same === undefined) return;
    try {
      same[4] = receiver!.combine!(same[4], message[4]);
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  /**
   * Puts a message that may not merge: it then goes by itself, and both are as they were.
   * @param merge calls the receiver's `combine` on copies; undefined when that failed
   */
  putCarefully(
    message: OpenMessage,
    merge: ((into: unknown, from: unknown) => { readonly body: unknown } | undefined) | undefined,
  ): void {
    const same = merge === undefined ? this.#add(message) : this.#addUnlessSame(message);
    if (same === undefined) return;
    const merged = merge!(same[4], message[4]);
    if (merged === undefined) this.#add(message);
    else same[4] = merged.body;
  }

  /** Takes all messages, in the order in which they were said. */
  take(): OpenMessage[] {
    const messages = this.#messages;
    if (messages.length === 0) return messages;
    this.#messages = [];
    this.#slots.clear();
    this.#last = undefined;
    return messages;
  }

  #add(message: OpenMessage): undefined {
    this.#messages.push(message);
  }

  /** The message before with which another one may merge; undefined when there is none: then that one was added. */
  #addUnlessSame(message: OpenMessage): OpenMessage | undefined {
    const { at } = this.#slotsOf(message[0], message[2], message[3]);
    const key = message[1];
    const same = at.get(key);
    if (same !== undefined) return this.#messages[same];
    // In this order: whoever is broken off between the two has said it by itself.
    at.set(key, this.#messages.push(message) - 1);
    return undefined;
  }

  #slotsOf(type: string, name: string, atMs: number): Slots {
    const last = this.#last;
    if (last?.atMs === atMs && last.name === name && last.type === type) return last;
    let ofTime = this.#slots.get(atMs);
    if (ofTime === undefined) this.#slots.set(atMs, (ofTime = []));
    for (const slots of ofTime) if (slots.name === name && slots.type === type) return (this.#last = slots);
    const slots = { type, name, atMs, at: new Map<string, number>() };
    ofTime.push(slots);
    return (this.#last = slots);
  }
}
