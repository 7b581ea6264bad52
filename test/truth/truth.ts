/**
 * The truth of the built-in features, recomputed from the events alone in SQL (truth.sql): no line of the engine is
 * used here, so that an agreement of the two means something.
 *
 * Owns loading events and reading the result. The definitions are in truth.sql; comparing is in compare.ts.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, listValue, structValue, type DuckDBConnection } from '@duckdb/node-api';

export type Level = 'cell' | 'gh5' | 'gh4' | 'region';
export type WindowName = '1m' | '5m' | '15m' | '1h';

export const LEVELS: readonly Level[] = ['cell', 'gh5', 'gh4', 'region'];
export const WINDOW_MINUTES: Readonly<Record<WindowName, number>> = { '1m': 1, '5m': 5, '15m': 15, '1h': 60 };
export const WINDOWS = Object.keys(WINDOW_MINUTES) as readonly WindowName[];

const ALWAYS = [
  'open_s',
  'enroute_s',
  'busy_s',
  'open_end',
  'pickups',
  'dropoffs',
  'requests',
  'cancels',
  'completes',
  'sessions',
  'waits',
] as const;
const OF_WAITS = ['wait_s_mean', 'wait_s_p50', 'wait_s_p90'] as const;
const OF_A_MINUTE = ['drivers', 'riders'] as const;
const OF_LONGER = ['drivers_mean'] as const;

export const FEATURES = [...ALWAYS, ...OF_WAITS, ...OF_A_MINUTE, ...OF_LONGER] as const;
export type Feature = (typeof FEATURES)[number];

/** Covers of the two real traces (shared/data/README.md). */
export const COVERS: Readonly<Record<string, readonly string[]>> = {
  sf: ['9q8y', '9q8z', '9q8v', '9q9p', '9q9j', '9q9n', '9q9h'],
  nyc: ['dr5r', 'dr72', 'dr5x', 'dr5p', 'dr5q', 'dr79', 'dr78', 'dr70'],
};

/** NDJSON of Groundswell events in order of arrival, or one of the real traces; `.gz` or plain. */
export type EventSource = { events: string } | { csv: 'cabspotting' | 'uber'; file: string };

export type TruthOptions = EventSource & {
  /** Geohash prefixes of one to six characters; an event under none of them is dropped. */
  cover: readonly string[];
  /** Key of the `region` level. Default `region`. */
  region?: string;
  /** How long a ping holds when no other follows. Default 300,000 ms. */
  presenceMs?: number;
  levels?: readonly Level[];
  windows?: readonly WindowName[];
  /** Beyond this DuckDB spills to a temporary folder. Default `3GB`. */
  memoryLimit?: string;
};

export interface TruthRow {
  key: string;
  /** First millisecond of the window. */
  start: number;
  /** Every feature the window has, zeros included; `wait_s_*` only where there are waits. */
  features: Partial<Record<Feature, number>>;
}

const COLUMNS_OF_EVENTS = `{type: 'VARCHAR', driverId: 'VARCHAR', rideId: 'VARCHAR', riderId: 'VARCHAR',
  lat: 'DOUBLE', lon: 'DOUBLE', ts: 'BIGINT', status: 'VARCHAR'}`;

function loading(source: EventSource): { file: string; sql: string } {
  if ('events' in source) {
    return {
      file: source.events,
      sql: `SELECT type, driverId AS driver, rideId AS ride, riderId AS rider, lat, lon, ts, status
        FROM read_json(getvariable('file'), format = 'newline_delimited', columns = ${COLUMNS_OF_EVENTS})`,
    };
  }
  switch (source.csv) {
    case 'cabspotting':
      return {
        file: source.file,
        sql: `SELECT 'driver.location' AS type, cab AS driver, NULL::VARCHAR AS ride, NULL::VARCHAR AS rider, lat, lon,
          ts * 1000 AS ts, CASE occupied WHEN 1 THEN 'ontrip' ELSE 'open' END AS status
          FROM read_csv(getvariable('file'), header = true, columns = {ts: 'BIGINT', cab: 'VARCHAR',
            lat: 'DOUBLE', lon: 'DOUBLE', occupied: 'INTEGER'})`,
      };
    case 'uber':
      // The trace names nobody: each row is its own ride by its own rider.
      return {
        file: source.file,
        sql: `SELECT 'ride.requested' AS type, NULL::VARCHAR AS driver, 'row-' || n AS ride, 'row-' || n AS rider,
          lat, lon, epoch_ms(ts) AS ts, NULL::VARCHAR AS status
          FROM (SELECT *, row_number() OVER () AS n FROM read_csv(getvariable('file'), header = true,
            columns = {ts: 'TIMESTAMPTZ', lat: 'DOUBLE', lon: 'DOUBLE', base: 'VARCHAR'}))`,
      };
  }
}

export function featuresOf(window: WindowName): Feature[] {
  return [...ALWAYS, ...OF_WAITS, ...(window === '1m' ? OF_A_MINUTE : OF_LONGER)];
}

export class Truth {
  /** @internal use {@link computeTruth} */
  constructor(
    /** For further questions in SQL: tables `truth_rows`, `truth_waits`, `steps`, `pings`, … (truth.sql). */
    readonly connection: DuckDBConnection,
    readonly region: string,
    readonly levels: readonly Level[],
    readonly windows: readonly WindowName[],
    /** Events read, and of them those outside the cover. */
    readonly events: number,
    readonly outside: number,
    private readonly dispose: () => Promise<void>,
  ) {}

  private asked(level: Level, window: WindowName): string {
    if (!this.levels.includes(level) || !this.windows.includes(window)) {
      throw new Error(`level ${level}, window ${window} was not computed: add it to computeTruth's options`);
    }
    return `FROM truth_rows WHERE level = '${level}' AND "window" = '${window}'`;
  }

  async count(level: Level, window: WindowName): Promise<number> {
    const [row] = await this.query(`SELECT count(*)::DOUBLE ${this.asked(level, window)}`);
    return row![0] as number;
  }

  /** The sum of every feature that can be summed over rows. */
  async totals(level: Level, window: WindowName): Promise<Partial<Record<Feature, number>>> {
    const names = featuresOf(window).filter((f) => !(OF_WAITS as readonly string[]).includes(f));
    const sums = names.map((f) => `coalesce(sum(${f}), 0)`).join(', ');
    const [row] = await this.query(`SELECT ${sums} ${this.asked(level, window)}`);
    return Object.fromEntries(names.map((f, i) => [f, row![i] as number]));
  }

  /** By start, then key; read in chunks, never all at once. Finish or leave the loop before the next question. */
  async *rows(level: Level, window: WindowName): AsyncGenerator<TruthRow, void, void> {
    const names = featuresOf(window);
    const result = await this.connection.stream(
      `SELECT key, start::DOUBLE, ${names.join(', ')} ${this.asked(level, window)} ORDER BY start, key`,
    );
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) return;
      for (const [key, start, ...values] of chunk.getRows()) {
        const features: Partial<Record<Feature, number>> = {};
        names.forEach((f, i) => (features[f] = values[i] as number));
        if (features.waits === 0) for (const f of OF_WAITS) delete features[f];
        yield { key: key as string, start: start as number, features };
      }
    }
  }

  /** Every wait of one row in seconds, ascending. */
  async waits(level: Level, window: WindowName, key: string, start: number): Promise<number[]> {
    this.asked(level, window);
    const found = await this.connection.runAndReadAll(
      `SELECT wait_ms / 1000 FROM truth_waits WHERE level = $level AND key = $key
        AND minute BETWEEN minute_of($start::BIGINT) AND minute_of($start::BIGINT) + $minutes::BIGINT - 1 ORDER BY 1`,
      { level, key, start, minutes: WINDOW_MINUTES[window] },
    );
    return found.getRows().map(([wait]) => wait as number);
  }

  async query(sql: string): Promise<unknown[][]> {
    return (await this.connection.runAndReadAll(sql)).getRows();
  }

  /** Frees the database and its temporary folder. */
  async close(): Promise<void> {
    await this.dispose();
  }
}

export async function computeTruth(options: TruthOptions): Promise<Truth> {
  const { cover, region = 'region', presenceMs = 300_000, levels = LEVELS, windows = WINDOWS } = options;
  const bad = cover.filter((prefix) => !/^[0-9b-hjkmnp-z]{1,6}$/.test(prefix));
  if (cover.length === 0 || bad.length > 0) {
    throw new Error(
      `a cover is a list of geohashes of one to six characters; got ${bad.join(' ') || 'none'}`,
    );
  }
  const folder = await mkdtemp(join(tmpdir(), 'groundswell-truth-'));
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: options.memoryLimit ?? '3GB',
    temp_directory: folder,
    // rowid is the order of arrival only as long as this holds.
    preserve_insertion_order: 'true',
  });
  const connection = await instance.connect();
  const dispose = async () => {
    connection.closeSync();
    instance.closeSync();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { file, sql } = loading(options);
    await connection.run('SET VARIABLE file = $file', { file });
    await connection.run('SET VARIABLE region = $region', { region });
    await connection.run(`SET VARIABLE presence_ms = ${BigInt(presenceMs)}::BIGINT`);
    await connection.run('SET VARIABLE cover = $cover', { cover: listValue([...cover]) });
    await connection.run('SET VARIABLE levels = $levels', { levels: listValue([...levels]) });
    await connection.run('SET VARIABLE windows = $windows', {
      windows: listValue(windows.map((name) => structValue({ name, minutes: BigInt(WINDOW_MINUTES[name]) }))),
    });
    await connection.run(`CREATE TABLE events AS ${sql}`);
    await connection.run(await readFile(new URL('./truth.sql', import.meta.url), 'utf8'));
    const counted = await connection.runAndReadAll(
      'SELECT (SELECT count(*) FROM events)::DOUBLE, (SELECT count(*) FROM kept)::DOUBLE',
    );
    const [events, kept] = counted.getRows()[0] as [number, number];
    await connection.run('DROP TABLE held; DROP TABLE cell_panes; DROP TABLE kept; DROP TABLE events;');
    return new Truth(connection, region, levels, windows, events, events - kept, dispose);
  } catch (cause) {
    await dispose();
    throw cause;
  }
}
