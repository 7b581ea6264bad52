/**
 * The port to questions between processes: one asks on a subject, whoever listens there answers, nothing is stored. Good for
 * looking inside and for wishes; never for anything that must not get lost. `nats/` asks over the server that all nodes are
 * connected to; `memory/` is for unit and simulation tests. Both pass the same suite.
 */

export type Asked =
  | { readonly outcome: 'answered'; readonly payload: Uint8Array }
  /** Nobody listens on the subject: known at once. */
  | { readonly outcome: 'nobody' }
  /** No answer within the time, or no connection to ask over: whether it was heard is not known. */
  | { readonly outcome: 'silent'; readonly cause: string };

export interface Requests {
  /** Largest payload of a question or an answer, bytes. */
  readonly payloadBytesMax: number;
  ask(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Asked>;
  /**
   * Answers what is asked on a subject, which may end with a wildcard. A question is not answered when `answer` rejects.
   * The subject is listened on when this resolves.
   */
  listen(subject: string, answer: Answer): Promise<{ close(): Promise<void> }>;
}

export type Answer = (subject: string, payload: Uint8Array) => Promise<Uint8Array>;
