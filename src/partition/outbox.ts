/**
 * Messages that a step has said to actors of one place and not yet sent. Merges what may be merged (`combine`) before anything
 * leaves, so that an actor, however hot, gets at most one message per partition, commit, name and time.
 */
import type { MailMessage } from './frame.js';

/** What the outbox needs to know of a message's receiver. */
export interface Mergeable {
  combine?(into: unknown, from: unknown): unknown;
}

/** A message that others may still be merged into: whoever says it keeps nothing of it. */
export type OpenMessage = [...MailMessage];

/** With more messages to one actor they are looked up by their time. */
const SCANNED_MAX = 8;

/** What is said to one actor to whom more than one thing is said, in order. */
class Letters {
  readonly all: OpenMessage[];
  /** By their time, those of each name in turn; undefined while they are few. */
  #byTime: Map<number, OpenMessage[]> | undefined;

  constructor(first: OpenMessage) {
    this.all = [first];
  }

  add(message: OpenMessage): void {
    this.all.push(message);
    if (this.#byTime !== undefined) this.#index(message);
    else if (this.all.length > SCANNED_MAX) {
      this.#byTime = new Map();
      for (const one of this.all) this.#index(one);
    }
  }

  find(name: string, atMs: number): OpenMessage | undefined {
    const open = this.#byTime === undefined ? this.all : (this.#byTime.get(atMs) ?? []);
    for (const message of open) if (message[3] === atMs && message[2] === name) return message;
    return undefined;
  }

  #index(message: OpenMessage): void {
    const at = this.#byTime!.get(message[3]);
    if (at === undefined) this.#byTime!.set(message[3], [message]);
    else at.push(message);
  }
}

export class Outbox {
  /** By type, then by key: the one message that most get, or more. */
  readonly #byType = new Map<string, Map<string, OpenMessage | Letters>>();
  #size = 0;
  /** A merge has failed on the way: what is here cannot be relied on. */
  broken = false;

  /** Messages that wait. */
  get size(): number {
    return this.#size;
  }

  put(message: OpenMessage, receiver: Mergeable | undefined): void {
    const before = this.#before(message);
    if (before === undefined) return;
    const same = receiver?.combine === undefined ? undefined : sameIn(before, message);
    if (same === undefined) {
      this.#add(before, message);
      return;
    }
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
    const before = this.#before(message);
    if (before === undefined) return;
    const same = merge === undefined ? undefined : sameIn(before, message);
    const merged = same === undefined ? undefined : merge!(same[4], message[4]);
    if (merged === undefined) this.#add(before, message);
    else same![4] = merged.body;
  }

  /** Takes all messages: those to one actor in the order in which they were said. */
  take(): MailMessage[] {
    const messages: MailMessage[] = [];
    for (const ofType of this.#byType.values()) {
      for (const one of ofType.values()) {
        if (one instanceof Letters) for (const message of one.all) messages.push(message);
        else messages.push(one);
      }
    }
    this.#byType.clear();
    this.#size = 0;
    return messages;
  }

  /** What was said to a message's receiver before; undefined when nothing was: then the message was put there as the first. */
  #before(message: OpenMessage): OpenMessage | Letters | undefined {
    const [type, key] = message;
    let ofType = this.#byType.get(type);
    if (ofType === undefined) this.#byType.set(type, (ofType = new Map<string, OpenMessage | Letters>()));
    const before = ofType.get(key);
    if (before === undefined) {
      ofType.set(key, message);
      this.#size++;
    }
    return before;
  }

  #add(before: OpenMessage | Letters, message: OpenMessage): void {
    if (before instanceof Letters) before.add(message);
    else {
      const letters = new Letters(before);
      letters.add(message);
      this.#byType.get(message[0])!.set(message[1], letters);
    }
    this.#size++;
  }
}

/** The message before with which another one may merge. */
function sameIn(before: OpenMessage | Letters, [, , name, atMs]: OpenMessage): OpenMessage | undefined {
  if (before instanceof Letters) return before.find(name, atMs);
  return before[3] === atMs && before[2] === name ? before : undefined;
}
