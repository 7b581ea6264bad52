/**
 * The live picture of a region as lines of text: what `live-screen.ts` paints on a terminal. A function of its data and
 * the terminal's size alone; nothing in it is wider or higher than the terminal.
 */
import type { createColors } from 'picocolors';
import type { Row } from '../actor/row.js';
import { multiplierText } from './get.js';
import type { CellReport, Values } from './node-answers.js';
import { plain } from './readable.js';
import { count, table, width } from './screen.js';
import { sparkline } from './sparkline.js';
import { isTime, localAndUtc, localTime, span, zoneName } from './times.js';

export interface LivePicture {
  readonly region: string;
  readonly timezone: string;
  /** Event time up to which rows are final, ms; null or undefined before any is. */
  readonly watermark?: number | null | undefined;
  /** The region's latest row of one minute, and what is there now. */
  readonly total?: Row | null | undefined;
  readonly liveTotal?: Values | null | undefined;
  /** Highest first; as many are shown as there is room for. */
  readonly topCells: readonly CellReport[];
  /** Events per second. */
  readonly throughput?: number | undefined;
  /** How long the last commits took to be acknowledged. */
  readonly latencyMs?: { readonly p50: number; readonly p99: number } | undefined;
  /** How far what is shown is behind what came in. */
  readonly lagMs?: number | undefined;
  /** Where the page is. */
  readonly address?: string | undefined;
  /** Said below the table; the last ones when there are many. */
  readonly notes?: readonly string[] | undefined;
}

export interface PictureSize {
  readonly columns: number;
  readonly rows: number;
}

export type Paint = ReturnType<typeof createColors>;

/** Below so many lines, none are left empty. */
const AIRY_ROWS = 16;
const NOTES_MAX = 3;
const SPARK_MINUTES = 30;
const SPARK_MIN = 6;

export function pictureLines(picture: LivePicture, size: PictureSize, paint: Paint): string[] {
  const notes = (picture.notes ?? []).slice(-NOTES_MAX).map((note) => ` ${paint.yellow(plain(note))}`);
  const air = size.rows < AIRY_ROWS ? [] : [''];
  const above = [headLine(picture, paint), ...air, ...totalLines(picture, size.columns, paint), ...air];
  const below = [...air, ...notes, ...rateLine(picture, paint), footLine(picture, paint)];
  const room = size.rows - above.length - below.length - 1;
  const lines = [...above, ...cellTable(picture, Math.max(1, room), size.columns, paint), ...below];
  // On a terminal of a few lines, what is below matters most.
  return lines.slice(-Math.max(1, size.rows)).map((line) => cut(line, size.columns));
}

function headLine({ region, timezone, watermark }: LivePicture, paint: Paint): string {
  const upTo = isTime(watermark)
    ? `final up to ${localAndUtc(watermark, timezone)}`
    : 'no minute is final yet';
  return ` ${paint.bold(paint.cyan(region))}  ${paint.dim(upTo)}`;
}

/** The region as a whole, left out from the right when there is no room: in its last final minute, and now. */
const TOTALS: readonly (readonly [
  title: string,
  minute: (features: Values) => number | undefined,
  now?: string,
])[] = [
  ['requests', (features) => features['requests'], 'requests'],
  ['open', (features) => features['open_end'], 'open'],
  ['enroute', (features) => mean(features['enroute_s']), 'enroute'],
  ['busy', (features) => mean(features['busy_s']), 'busy'],
  ['pickups', (features) => features['pickups'], 'pickups'],
  ['completes', (features) => features['completes'], 'completes'],
  ['cancels', (features) => features['cancels'], 'cancels'],
  ['drivers', (features) => features['drivers']],
  ['wait s', (features) => rounded(features['wait_s_mean'])],
];

function totalLines({ total, liveTotal, timezone }: LivePicture, columns: number, paint: Paint): string[] {
  const start = total?.start;
  const rowsWith = (n: number): (string | number)[][] => {
    const shown = TOTALS.slice(0, n);
    return [
      [' ', ...shown.map(([title]) => title)],
      [
        ` ${start === undefined ? 'minute' : localTime(start, timezone, 'minute')}`,
        ...shown.map(([, minute]) => (total ? (minute(total.features) ?? 0) : '–')),
      ],
      [
        ' now',
        ...shown.map(([, , now]) => (now === undefined ? '' : liveTotal ? (liveTotal[now] ?? 0) : '–')),
      ],
    ];
  };
  let n = TOTALS.length;
  let lines = table(rowsWith(n));
  while (n > 1 && Math.max(...lines.map(width)) > columns) lines = table(rowsWith(--n));
  const [header, ...rest] = lines;
  return [paint.dim(header), ...rest.map((line) => paint.bold(line))];
}

/** Seconds within a minute as how many there were on average. */
function mean(seconds: number | undefined): number | undefined {
  return rounded(seconds === undefined ? undefined : seconds / 60);
}

function rounded(n: number | undefined): number | undefined {
  return n === undefined ? undefined : Math.round(n);
}

/** Columns beside cell, surge and sparkline, in the order in which they are left out when there is no room. */
const COLUMNS: readonly (readonly [title: string, of: (cell: CellReport) => number | undefined])[] = [
  ['requests', ({ features }) => features['requests']],
  ['open', ({ features }) => features['open_end']],
  ['open now', ({ live }) => live?.['open']],
  ['busy now', ({ live }) => live?.['busy']],
  ['requests now', ({ live }) => live?.['requests']],
  ['pickups', ({ features }) => features['pickups']],
];

function cellTable(
  { topCells, timezone, watermark }: LivePicture,
  cellsMax: number,
  columns: number,
  paint: Paint,
): string[] {
  const shown = topCells.slice(0, cellsMax);
  const rowsWith = (n: number): (string | number)[][] => [
    [' cell', 'surge', ...COLUMNS.slice(0, n).map(([title]) => title)],
    ...shown.map((cell) => [
      ` ${cell.key}`,
      cell.multiplier === null ? '' : multiplierText(cell.multiplier, paint),
      ...COLUMNS.slice(0, n).map(([, of]) => of(cell) ?? 0),
    ]),
  ];
  let n = COLUMNS.length;
  let lines = table(rowsWith(n));
  const used = (): number => Math.max(...lines.map(width)) + 2;
  while (n > 0 && used() + SPARK_MINUTES > columns) lines = table(rowsWith(--n));
  const at = used();
  const minutes = Math.min(SPARK_MINUTES, columns - at);
  const zone = isTime(watermark) ? ` (${zoneName(watermark, timezone)})` : '';
  const title = `last ${minutes} ${minutes < 15 ? 'min' : 'minutes'}`;
  const withSpark = lines.map((line, i) => {
    if (minutes < SPARK_MIN) return line;
    const spark = i === 0 ? title : sparkColor(shown[i - 1]!, minutes, paint);
    return `${line}${' '.repeat(at - width(line))}${spark}`;
  });
  const [header, ...cells] = withSpark;
  if (cells.length === 0) return [paint.dim(` no cell has a surge multiplier yet${zone}`)];
  return [paint.dim(header), ...cells];
}

function sparkColor({ spark, multiplier: of }: CellReport, minutes: number, paint: Paint): string {
  const line = sparkline(spark, minutes);
  const multiplier = of ?? 1;
  if (multiplier < 1.05) return paint.dim(line);
  if (multiplier < 1.5) return paint.green(line);
  return multiplier < 2 ? paint.yellow(line) : paint.red(line);
}

function rateLine({ throughput, latencyMs, lagMs }: LivePicture, paint: Paint): string[] {
  const facts = [
    throughput === undefined ? undefined : `${paint.bold(count(Math.round(throughput)))} events/s`,
    latencyMs === undefined ? undefined : `commits p50 ${span(latencyMs.p50)}, p99 ${span(latencyMs.p99)}`,
    lagMs === undefined ? undefined : `lag ${span(Math.max(0, lagMs))}`,
  ].filter((fact) => fact !== undefined);
  return facts.length === 0 ? [] : [` ${facts.join(paint.dim('  ·  '))}`];
}

function footLine({ address }: LivePicture, paint: Paint): string {
  const end = paint.dim('Ctrl-C to end');
  return address === undefined ? ` ${end}` : ` ${paint.underline(address)}  ${end}`;
}

const PIECES = /\u001b\[[0-9;]*m|[^\u001b]/gu;

/** A line as wide as the terminal that standard output is, at most; whole in a pipe. */
export function fitted(line: string): string {
  const { isTTY, columns } = process.stdout;
  return isTTY && columns > 0 ? cut(line, columns) : line;
}

/** A line of at most so many columns; its colours end with it. */
export function cut(line: string, columns: number): string {
  if (width(line) <= columns) return line;
  let room = Math.max(0, columns - 1);
  let out = '';
  for (const [piece] of line.matchAll(PIECES)) {
    if (piece.startsWith('\u001b')) out += piece;
    else if (room-- > 0) out += piece;
  }
  return columns > 0 ? `${out}…` : out;
}
