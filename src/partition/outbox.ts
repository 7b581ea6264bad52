/**
 * Messages that a step has said to actors of one place and not yet sent. Merges what may be merged (`combine`) before anything
 * leaves, so that an actor, however hot, gets at most one message per partition, commit, name and time.
 */
import type { MailMessage } from './frame.js';

/** What the outbox needs to know of a message's receiver. */
export interface Mergeable {
  combine?(into: unknown, from: unknown): unknown;
}

/** A message that others may still be merged into. */
type Open = [...MailMessage];

export class Outbox {
  /** By type, then by key: one message for most, and the others behind it. */
  readonly #byType = new Map<string, Map<string, Open[]>>();
  #size = 0;
  /** A merge has failed on the way: what is here cannot be relied on. */
  broken = false;

  /** Messages that wait. */
  get size(): number {
    return this.#size;
  }

  put(
    type: string,
    key: string,
    name: string,
    atMs: number,
    body: unknown,
    receiver: Mergeable | undefined,
  ): void {
    const open = this.#openTo(type, key);
    if (receiver?.combine !== undefined) {
      for (const message of open) {
        if (message[3] !== atMs || message[2] !== name) continue;
        try {
          message[4] = receiver.combine(message[4], body);
        } catch (error) {
          this.broken = true;
          throw error;
        }
        return;
      }
    }
    this.#add(open, [type, key, name, atMs, body]);
  }

  /**
   * Puts a message that may not merge: it then goes by itself, and both are as they were.
   * @param merge calls the receiver's `combine` on copies; undefined when that failed
   */
  putCarefully(
    type: string,
    key: string,
    name: string,
    atMs: number,
    body: unknown,
    merge: ((into: unknown, from: unknown) => { readonly body: unknown } | undefined) | undefined,
  ): void {
    const open = this.#openTo(type, key);
    const same = merge === undefined ? undefined : open.find((one) => one[3] === atMs && one[2] === name);
    const merged = same === undefined ? undefined : merge!(same[4], body);
    if (merged === undefined) this.#add(open, [type, key, name, atMs, body]);
    else same![4] = merged.body;
  }

  /** Takes all messages: those to one actor in the order in which they were said. */
  take(): MailMessage[] {
    const messages: MailMessage[] = [];
    for (const ofType of this.#byType.values()) {
      for (const open of ofType.values()) for (const message of open) messages.push(message);
    }
    this.#byType.clear();
    this.#size = 0;
    return messages;
  }

  #openTo(type: string, key: string): Open[] {
    let ofType = this.#byType.get(type);
    if (ofType === undefined) this.#byType.set(type, (ofType = new Map<string, Open[]>()));
    let open = ofType.get(key);
    if (open === undefined) ofType.set(key, (open = []));
    return open;
  }

  #add(open: Open[], message: Open): void {
    open.push(message);
    this.#size++;
  }
}
