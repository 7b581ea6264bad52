/** What the engine says about itself while it runs. `src/cli/log.ts` makes the real one; nothing else knows how lines are written. */

type Say = (fields: object, message: string) => void;

/**
 * One line each: facts as fields, then a message without them.
 *
 * Identifiers of riders and drivers are never said above `debug`.
 */
export interface Logger {
  readonly debug: Say;
  readonly info: Say;
  readonly warn: Say;
  readonly error: Say;
  /** A logger whose lines all carry these fields. */
  child(fields: object): Logger;
}

const nothing: Say = () => undefined;

export const silent: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silent,
};
