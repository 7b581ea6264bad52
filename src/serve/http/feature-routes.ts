/** `/v1/features`: the latest final rows of one key, with what it shows now, or of many keys in order. */
import type { Row } from '../../actor/row.js';
import { HISTORY_MINUTES } from '../minute-history.js';
import type { HttpFacts, RoutePlugin } from './facts.js';
import { badRequest, notFound } from './problem.js';
import { Query } from './query.js';
import { expectKey, expectLevel, expectPrefix, expectWindow, freshness } from './view-query.js';

const LIST_LIMIT = 100;
const LIST_LIMIT_MAX = 1_000;

export const featureRoutes: RoutePlugin = (app, facts) => {
  const { view } = facts;

  app.get('/v1/features', (request) => {
    const query = new Query(request, ['level', 'prefix', 'window', 'limit', 'after']);
    const level = query.text('level') ?? 'cell';
    const prefix = query.text('prefix') ?? '';
    const window = query.text('window') ?? '1m';
    const limit = query.whole('limit', 1, LIST_LIMIT_MAX) ?? LIST_LIMIT;
    const after = query.text('after');
    expectLevel(level, facts);
    expectPrefix(level, prefix);
    expectWindow(window, facts);
    return view.find({ level, prefix, window, limit, ...(after === undefined ? {} : { after }) });
  });

  app.get<{ Params: { level: string } }>('/v1/features/:level', (request) => {
    const { level } = request.params;
    expectLevel(level, facts);
    if (level !== 'region')
      throw badRequest(
        `The level ${level} has many keys; none is given.`,
        `Ask for /v1/features/${level}/<key>, or list them with /v1/features?level=${level}.`,
      );
    return featuresOf(level, facts.region.name, queryOf(new Query(request, ['window', 'history'])), facts);
  });

  app.get<{ Params: { level: string; key: string } }>('/v1/features/:level/:key', (request) => {
    const { level, key } = request.params;
    const asked = queryOf(new Query(request, ['window', 'history']));
    expectLevel(level, facts);
    expectKey(level, key, facts);
    return featuresOf(level, key, asked, facts);
  });
};

interface Asked {
  readonly window: string | undefined;
  readonly history: number | undefined;
}

function queryOf(query: Query): Asked {
  return { window: query.text('window'), history: query.whole('history', 1, HISTORY_MINUTES) };
}

function featuresOf(level: string, key: string, { window, history }: Asked, facts: HttpFacts): object {
  const { view, region } = facts;
  if (window !== undefined) expectWindow(window, facts);
  const found = view.rows(level, key);
  const live = view.live(key, level);
  const shows = live !== undefined && Object.keys(live).length > 0;
  if (found.length === 0 && !shows && level !== 'region') throw nothingKnown(level, key, facts);
  const rows: Record<string, Row> = {};
  for (const row of found) if (window === undefined || row.window === window) rows[row.window] = row;
  const { watermark, stale } = freshness(facts);
  return {
    region: region.name,
    level,
    key,
    watermark,
    rows,
    live: shows ? live : null,
    stale,
    ...(history === undefined ? {} : { history: view.history(level, key, history) }),
  };
}

function nothingKnown(level: string, key: string, { region, view }: HttpFacts): Error {
  const name = `${level} ${key.slice(0, 40)}`;
  if (!region.cover.some((prefix) => key.startsWith(prefix) || prefix.startsWith(key)))
    return notFound(
      `The ${name} lies outside the region ${region.name}.`,
      `The region covers ${region.cover.join(', ')}.`,
    );
  return notFound(
    `Nothing is known of the ${name}.`,
    view.caughtUp
      ? 'It had no row lately and shows nothing now: all its values are zero.'
      : 'The view has not caught up: try again in a moment.',
  );
}
