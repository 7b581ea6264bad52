/**
 * The port to how full a stream is: what back-pressure is made from. One question, which a user who may do nothing but put
 * events in may ask too.
 */

export interface StreamLoad {
  readonly messages: number;
  readonly bytes: number;
  /** Beyond that the stream takes nothing; undefined when it has no such limit. */
  readonly bytesMax: number | undefined;
  /** The subjects of the pattern that was asked for on which there is a message. */
  readonly present: readonly string[];
  /** The stream's own clock, ms UTC, where it has one. */
  readonly atMs: number | undefined;
}

export interface Gauge {
  /** Asked once, without trying again: who asks does so often. @throws GroundswellError GS_LOG when there is no answer */
  load(pattern: string): Promise<StreamLoad>;
}
