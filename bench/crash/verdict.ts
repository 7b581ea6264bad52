/**
 * Rows against the truth: `test/truth/check.ts` in a process of its own, which computes every row anew from the events, in
 * SQL.
 */
import { Child } from './children.js';
import { ENV, ROOT } from './command.js';

/** What it says, as far as it is looked at here. */
export interface Verdict {
  readonly same: boolean;
  /** Events of the trace, and of them those outside the region's cover. */
  readonly events: number;
  readonly outside: number;
  readonly compared: number;
  readonly values: number;
  readonly superseded: number;
  readonly malformed: number;
  readonly counts: {
    readonly missing: number;
    readonly extra: number;
    readonly wrong: number;
    readonly duplicates: number;
  };
  readonly missing: readonly object[];
  readonly extra: readonly object[];
  readonly wrong: readonly object[];
  readonly duplicates: readonly object[];
}

export async function judge(options: {
  rowsFile: string;
  /** The events: words of check.ts. */
  events: readonly string[];
  region: string;
  cover: readonly string[];
  /** Only windows that end by then, event time ms. */
  untilMs?: number;
}): Promise<Verdict> {
  const { rowsFile, events, region, cover, untilMs } = options;
  const until = untilMs === undefined ? [] : ['--until', String(untilMs)];
  const args = [rowsFile, ...events, '--region', region, '--cover', cover.join(','), ...until, '--json'];
  const child = new Child(process.execPath, ['--import', 'tsx', 'test/truth/check.ts', ...args], {
    cwd: ROOT,
    env: ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let error = '';
  child.process.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.process.stderr!.on('data', (chunk: Buffer) => (error += chunk.toString()));
  await child.ended;
  if (out === '') throw new Error(`the truth could not be computed: ${error}`);
  return JSON.parse(out) as Verdict;
}

/** What differs, in a few lines; none when nothing does. */
export function differences(of: string, verdict: Verdict, examples = 3): string[] {
  const lines: string[] = [];
  for (const kind of ['missing', 'extra', 'wrong', 'duplicates'] as const) {
    if (verdict.counts[kind] === 0) continue;
    lines.push(`${of}: ${kind} ${verdict.counts[kind]}`);
    for (const example of verdict[kind].slice(0, examples)) lines.push(`  ${JSON.stringify(example)}`);
  }
  if (verdict.malformed > 0) lines.push(`${of}: ${verdict.malformed} malformed`);
  if (verdict.compared === 0) lines.push(`${of}: no row was compared`);
  return lines;
}
