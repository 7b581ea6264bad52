/**
 * Waiting until a region that is overloaded takes events again: what slows a replay to the pace of the nodes. Nodes that are
 * behind catch up, so they are waited for however long; a stream that stays full is an operator's matter, and is told in time.
 */
import { sleep, type Clock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { Overload } from './back-pressure.js';

export interface RoomOptions {
  readonly clock: Clock;
  readonly look: () => Promise<Overload | undefined>;
  /** Told once, when the waiting begins. */
  readonly onWait: (overload: Overload) => void;
}

const AGAIN_MS = 250;
/** Retention and base snapshots make room in a stream within minutes, if at all. */
const FULL_PATIENCE_MS = 10 * 60_000;

/** @throws GroundswellError GS_OVERLOAD when the stream stays full */
export async function awaitRoom({ clock, look, onWait }: RoomOptions): Promise<void> {
  let overload = await look();
  if (overload !== undefined) onWait(overload);
  let fullSinceMs: number | undefined;
  for (; overload !== undefined; overload = await look()) {
    if (overload.why === 'full') fullSinceMs ??= clock.monotonic();
    else fullSinceMs = undefined;
    if (fullSinceMs !== undefined && clock.monotonic() - fullSinceMs >= FULL_PATIENCE_MS) {
      throw new GroundswellError(
        'GS_OVERLOAD',
        `${overload.message} It made no room in ${FULL_PATIENCE_MS / 60_000} minutes.`,
      );
    }
    await sleep(clock, AGAIN_MS);
  }
}
