/** `/v1/watch`: rows as they are committed, and live values if asked for, of all keys that a pattern means. */
import { parsePattern } from '../pattern.js';
import type { RoutePlugin } from './facts.js';
import { badRequest } from './problem.js';
import { Query } from './query.js';
import { openStream } from './sse.js';

export const HEARTBEAT_MS = 15_000;
export const QUEUED_BYTES_MAX = 4 * 1024 * 1024;

export const watchRoutes: RoutePlugin = (app, { view, region, clock }) => {
  app.get('/v1/watch', (request, reply) => {
    const query = new Query(request, ['pattern', 'live']);
    const text = query.text('pattern');
    const live = query.flag('live');
    if (text === undefined)
      throw badRequest(
        'The parameter "pattern" is missing.',
        'Give one, such as /v1/watch?pattern=cell/9q8y*, or * for all.',
      );
    const pattern = parsePattern(text, view.levels);
    if (pattern.region !== undefined && pattern.region !== region.name)
      throw badRequest(
        `This node serves the region "${region.name}", not "${pattern.region}".`,
        `Ask a node of ${pattern.region}, or begin the subject with gs.${region.name}.`,
      );
    const stream = openStream(reply, {
      heartbeatMs: HEARTBEAT_MS,
      maxQueuedBytes: QUEUED_BYTES_MAX,
      clock,
    });
    const stop = view.subscribe({
      rows(rows) {
        for (const row of rows) if (pattern.matches(row.level, row.key, row.window)) stream.send('row', row);
      },
      ...(live
        ? {
            live(changes) {
              for (const { level, key, values, atMs } of changes)
                if (pattern.matchesKey(level, key)) stream.send('live', { level, key, values, at: atMs });
            },
          }
        : {}),
    });
    stream.closed.then(stop, stop);
    return reply;
  });
};
