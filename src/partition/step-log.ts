/**
 * What the stream and the clock have told a partition since its last commit. A step is a pure function of it, so it can be made
 * again. Holds references to what others hold anyhow, no copies; bounded by what a partition may take without a commit (P8).
 *
 * What partitions of its process have said to it is not noted: who goes back takes them along, and they say it anew. So messages
 * between them are garbage as soon as they are heard.
 */

import type { MailShare } from './frame.js';
import type { OpenMessage } from './outbox.js';

/** What another partition of its process has said: the marks only when they have moved. */
export interface HeardShare extends MailShare {
  readonly messages: readonly OpenMessage[];
}

export type Operation =
  | {
      readonly kind: 'events';
      readonly bytes: Uint8Array;
      readonly seq: number;
      readonly wallMs: number;
      readonly storedMs: number;
    }
  | { readonly kind: 'mail'; readonly bytes: Uint8Array; readonly seq: number }
  | { readonly kind: 'heard'; readonly said: readonly HeardShare[] }
  | { readonly kind: 'time'; readonly wallMs: number; readonly timersMax: number };

export type OperationOf<K extends Operation['kind']> = Extract<Operation, { kind: K }>;

/** What can be done again: not what was heard. */
type Noted = Exclude<Operation, OperationOf<'heard'>>;

export class StepLog {
  #operations: Noted[] = [];
  /** The last operation let time pass, and nobody was called: one that follows stands for both. */
  #quiet = false;

  get operations(): readonly Noted[] {
    return this.#operations;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Notes an operation that may have to be done again. */
  add(operation: Operation): void {
    if (operation.kind === 'heard') return;
    if (this.#quiet && operation.kind === 'time') this.#operations.pop();
    this.#quiet = false;
    this.#operations.push(operation);
  }

  /** An operation that let time pass has called nobody. */
  wasQuiet(operation: Operation): void {
    this.#quiet = operation === this.#operations.at(-1);
  }

  clear(): void {
    this.#operations = [];
    this.#quiet = false;
  }
}
