/**
 * Published rows against the truth: every row that must be there, none that must not, every value.
 *
 * Of a row only its highest revision counts; a revision published twice is reported. A feature that a row leaves out
 * is zero. Runs inside the truth's database, so that rows files larger than memory are no matter.
 */
import { featuresOf, FEATURES, type Feature, type Level, type Truth, type WindowName } from './truth.js';

export interface RowId {
  level: Level;
  key: string;
  window: WindowName;
  /** First millisecond of the window. */
  start: number;
}
export interface Row extends RowId {
  /** Those that are not zero. */
  features: Partial<Record<Feature, number>>;
}
export interface WrongValue extends RowId {
  rev: number;
  feature: Feature | 'end';
  expected: number;
  actual: number;
}
export interface Duplicate extends RowId {
  rev: number;
  times: number;
}

export interface Comparison {
  /** Nothing missing, extra, wrong, duplicate or malformed. */
  same: boolean;
  /** Rows found on both sides. */
  compared: number;
  /** Values compared in them, zeros included. */
  values: number;
  /** Lines in the file; of them, those of another region, level or window, and those without a name or a revision. */
  lines: number;
  ignored: number;
  malformed: number;
  /** Lines that a higher revision replaced. */
  superseded: number;
  /** How many there are of each; the lists below end at `limit`. */
  counts: { missing: number; extra: number; wrong: number; duplicates: number };
  missing: Row[];
  extra: Row[];
  wrong: WrongValue[];
  duplicates: Duplicate[];
}

export interface CompareOptions {
  /** NDJSON in the form of `src/serve/row-schema.ts`; `.gz` or plain. */
  rowsFile: string;
  truth: Truth;
  region: string;
  /** Default: all that the truth has. */
  levels?: readonly Level[];
  windows?: readonly WindowName[];
  /** Only windows that end by then, event time ms: of a stream that goes on. */
  untilMs?: number;
  /** Longest list of examples in the answer. Default 1,000. */
  limit?: number;
}

/** A sketch of 1 % relative accuracy, and a little for its own rounding. */
const QUANTILE_TOLERANCE = 0.011;
const EXACT_TOLERANCE = 1e-9;

function tolerance(feature: Feature | 'end'): string {
  const exact = `${EXACT_TOLERANCE}::DOUBLE`;
  if (feature === 'wait_s_p50' || feature === 'wait_s_p90') {
    return `${QUANTILE_TOLERANCE}::DOUBLE * t.${feature} + ${exact}`;
  }
  return feature === 'wait_s_mean' ? `${exact} * greatest(1, t.${feature})` : exact;
}

const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ');
const SAME_ROW = 'ON t.level = g.level AND t.key = g.key AND t."window" = g."window" AND t.start = g.start';

export async function compareRows(options: CompareOptions): Promise<Comparison> {
  const { truth, region, rowsFile, untilMs, limit = 1_000 } = options;
  const levels = options.levels ?? truth.levels;
  const windows = options.windows ?? truth.windows;
  const unknown = [
    ...levels.filter((level) => !truth.levels.includes(level)),
    ...windows.filter((window) => !truth.windows.includes(window)),
  ];
  if (unknown.length > 0) throw new Error(`the truth was not computed for ${unknown.join(', ')}`);
  if (truth.region !== region) throw new Error(`the truth is of region ${truth.region}, not of ${region}`);

  const ended = untilMs === undefined ? '' : ` AND "end" <= ${BigInt(untilMs)}`;
  const asked = `level IN (${quoted(levels)}) AND "window" IN (${quoted(windows)})${ended}`;
  const { connection } = truth;
  await connection.run('SET VARIABLE rows_file = $rowsFile', { rowsFile });
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE lines AS
    SELECT region, level, key, "window", start, "end", rev, ${FEATURES.map((f) => `features.${f} AS ${f}`).join(', ')}
    FROM read_json(getvariable('rows_file'), format = 'newline_delimited', columns = {
      region: 'VARCHAR', level: 'VARCHAR', key: 'VARCHAR', "window": 'VARCHAR', start: 'BIGINT', "end": 'BIGINT',
      rev: 'INTEGER', features: 'STRUCT(${FEATURES.map((f) => `${f} DOUBLE`).join(', ')})'})`);
  const [[lines, malformed]] = (await truth.query(`
    SELECT count(*)::DOUBLE, count(*) FILTER (WHERE region IS NULL OR level IS NULL OR key IS NULL OR "window" IS NULL
      OR start IS NULL OR rev IS NULL)::DOUBLE FROM lines`)) as [[number, number]];

  const ours = `region = getvariable('region') AND ${asked}
    AND key IS NOT NULL AND start IS NOT NULL AND rev IS NOT NULL`;
  const [[valid, names]] = (await truth.query(`
    SELECT coalesce(sum(n), 0)::DOUBLE, count(*)::DOUBLE
    FROM (SELECT count(*) AS n FROM lines WHERE ${ours} GROUP BY level, key, "window", start)`)) as [
    [number, number],
  ];
  const newest =
    valid === names
      ? `SELECT * FROM lines WHERE ${ours}`
      : `SELECT * FROM lines WHERE ${ours}
         QUALIFY row_number() OVER (PARTITION BY level, key, "window", start ORDER BY rev DESC, rowid) = 1`;
  await connection.run(`CREATE OR REPLACE TEMP TABLE got AS ${newest}`);

  const repeated = `FROM lines WHERE ${ours} GROUP BY level, key, "window", start, rev HAVING count(*) > 1`;
  const duplicates =
    valid === names
      ? []
      : await truth.query(`SELECT level, key, "window", start::DOUBLE, rev, count(*)::DOUBLE ${repeated}
          ORDER BY start, level, key, "window", rev LIMIT ${limit}`);
  const [[repeats, copies]] = (
    valid === names
      ? [[0, 0]]
      : await truth.query(
          `SELECT count(*)::DOUBLE, coalesce(sum(n - 1), 0)::DOUBLE FROM (SELECT count(*) AS n ${repeated})`,
        )
  ) as [[number, number]];
  await connection.run('DROP TABLE lines');

  const answer: Comparison = {
    same: false,
    compared: 0,
    values: 0,
    lines,
    malformed,
    ignored: lines - valid - malformed,
    superseded: valid - names - copies,
    counts: { missing: 0, extra: 0, wrong: 0, duplicates: repeats },
    missing: [],
    extra: [],
    wrong: [],
    duplicates: duplicates.map((row) => ({ ...rowId(row), rev: row[4] as number, times: row[5] as number })),
  };

  const isWrong = (f: Feature | 'end') => `abs(coalesce(g."${f}", 0) - t."${f}") > ${tolerance(f)}`;
  // Features of the other kind of window are zero in the truth, so that a row may not carry them.
  const checked = [...FEATURES, 'end'] as const;
  const [counted] = await truth.query(`
    SELECT count(*)::DOUBLE, coalesce(sum(${checked.map((f) => `(${isWrong(f)})::INTEGER`).join(' + ')}), 0)::DOUBLE,
           count(*) FILTER (WHERE t."window" = '1m')::DOUBLE
    FROM truth_rows t JOIN got g ${SAME_ROW}`);
  const [compared, wrong, ofAMinute] = counted as [number, number, number];
  answer.compared = compared;
  answer.values = ofAMinute * featuresOf('1m').length + (compared - ofAMinute) * featuresOf('1h').length;
  answer.counts.wrong = wrong;
  if (wrong > 0) {
    const found = await truth.query(`
      SELECT t.level, t.key, t."window", t.start::DOUBLE, g.rev,
             ${checked.map((f) => `${isWrong(f)}, t."${f}"::DOUBLE, coalesce(g."${f}", 0)::DOUBLE`).join(', ')}
      FROM truth_rows t JOIN got g ${SAME_ROW} WHERE ${checked.map(isWrong).join(' OR ')}
      ORDER BY t.start, t.level, t.key, t."window" LIMIT ${limit}`);
    answer.wrong = found
      .flatMap((row) =>
        checked.flatMap((feature, i) => {
          const [differs, expected, actual] = row.slice(5 + 3 * i) as [boolean, number, number];
          return differs ? [{ ...rowId(row), rev: row[4] as number, feature, expected, actual }] : [];
        }),
      )
      .slice(0, limit);
  }

  const alone = async (from: string, other: string): Promise<[number, Row[]]> => {
    const lonely = `FROM ${from} t ANTI JOIN ${other} g ${SAME_ROW} WHERE ${asked}`;
    const [[count]] = (await truth.query(`SELECT count(*)::DOUBLE ${lonely}`)) as [[number]];
    if (count === 0) return [0, []];
    const found =
      await truth.query(`SELECT level, key, "window", start::DOUBLE, ${FEATURES.join(', ')} ${lonely}
      ORDER BY start, level, key, "window" LIMIT ${limit}`);
    const rows = found.map((row) => ({
      ...rowId(row),
      features: Object.fromEntries(
        FEATURES.map((f, i) => [f, row[4 + i]]).filter(([, value]) => value),
      ) as Row['features'],
    }));
    return [count, rows];
  };
  [answer.counts.missing, answer.missing] = await alone('truth_rows', 'got');
  [answer.counts.extra, answer.extra] = await alone('got', 'truth_rows');
  await connection.run('DROP TABLE got');

  answer.same = malformed === 0 && Object.values(answer.counts).every((count) => count === 0);
  return answer;
}

function rowId(row: readonly unknown[]): RowId {
  const [level, key, window, start] = row as [Level, string, WindowName, number];
  return { level, key, window, start };
}
