/**
 * Has the server make what the region needs, or checks what is there. A cluster that elects a leader, or a server that has
 * just come up, may not answer at once: it is asked again. Whatever is made here can be made twice.
 */
import { sleep, systemClock } from '../../core/clock.js';
import { GroundswellError, messageOf } from '../../core/errors.js';
import { apiFailureOf } from './api-error.js';

const TRIES = 4;
const PAUSE_MS = 500;

/**
 * @param what the thing and its name, as a message begins: `The stream GS_sf`
 * @throws GroundswellError what `make` throws of them; GS_NATS_AUTH, GS_LOG, GS_STREAM_CONFIG
 */
export async function madeAsNeeded(what: string, make: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await make();
      return;
    } catch (error) {
      if (error instanceof GroundswellError) throw error;
      if (apiFailureOf(error) !== 'passing' || tries === TRIES) throw notMade(what, error);
      await sleep(systemClock, PAUSE_MS);
    }
  }
}

function notMade(what: string, error: unknown): GroundswellError {
  const failure = apiFailureOf(error);
  const code = failure === 'denied' ? 'GS_NATS_AUTH' : failure === 'passing' ? 'GS_LOG' : 'GS_STREAM_CONFIG';
  return new GroundswellError(code, `${what} cannot be made as it is needed: ${messageOf(error)}.`, {
    cause: error,
    ...(code === 'GS_STREAM_CONFIG' ? { remedy: 'See the cause: the server refuses these settings.' } : {}),
  });
}
