/** A trial in lines for people, with the targets beside. */
import type { Quantiles } from '../live/samples.js';
import type { TrialReport } from './inquest.js';

const TAKE_OVER_STANDBY_MS = 3_000;
const TAKE_OVER_ALONE_MS = 10_000;
const HAND_OVER_MS = 200;
const FAULTS_SHOWN = 40;

/** @param load `replay` gathers its commits, so that its pauses have no target */
export function reportLines(
  load: 'replay' | 'live',
  report: TrialReport,
  { standbys }: { standbys: number | undefined },
): string[] {
  const takeOverTarget = (standbys ?? 0) > 0 ? TAKE_OVER_STANDBY_MS : TAKE_OVER_ALONE_MS;
  const { struck, published, verdict } = report;
  const dead = Object.values(published.dead).reduce((a, b) => a + b, 0);
  return [
    '',
    `${load === 'replay' ? 'A trace replayed at speed' : 'A steady live load'}, ${report.seconds.toFixed(0)} s`,
    `  struck                             ${Object.entries(struck)
      .map(([kind, n]) => `${kind} ${n}`)
      .join(', ')}`,
    line(
      `take-over (${(standbys ?? 0) > 0 ? 'with' : 'without'} a standby)`,
      report.takeOverMs,
      takeOverTarget,
    ),
    line('… struck in haste', report.takeOverInHasteMs),
    line('… from a node frozen', report.frozenTakeOverMs),
    line('commits again after a server died', report.serverBackMs),
    line('pause of a hand-over', report.handOverPauseMs, load === 'live' ? HAND_OVER_MS : undefined),
    line('… until the other has taken it', report.handOverTakenMs),
    line('… and from there until it works', report.handOverWorkingMs),
    line('between two commits', report.betweenCommitsMs),
    `  drained in                         ${seconds(report.drainSeconds)}`,
    `  ${count(verdict.events)} events, ${count(verdict.compared)} rows and ${count(verdict.values)} values compared, ${count(report.commits)} commits`,
    `  lost ${report.lost}, twice ${report.twice}, wrong ${report.wrong}; late ${published.late}, dead ${dead}, corrected ${published.corrected}`,
    ...report.notes.slice(0, FAULTS_SHOWN).map((note) => `  note: ${note}`),
    ...report.faults.slice(0, FAULTS_SHOWN).map((fault) => `  FAULT: ${fault}`),
    ...(report.faults.length > FAULTS_SHOWN ? [`  … and ${report.faults.length - FAULTS_SHOWN} more`] : []),
  ];
}

function line(what: string, of: Quantiles | undefined, targetMs?: number): string {
  const name = `  ${what.padEnd(35)}`;
  if (of === undefined) return `${name}nothing measured`;
  const target =
    targetMs === undefined ? '' : `; target p99 ≤ ${ms(targetMs)}: ${of.p99 <= targetMs ? 'met' : 'MISSED'}`;
  return `${name}p50 ${ms(of.p50)}, p99 ${ms(of.p99)}, max ${ms(of.max)} (${of.count})${target}`;
}

function ms(value: number): string {
  return `${Math.round(value).toLocaleString('en-US')} ms`;
}

function seconds(of: Quantiles | undefined): string {
  return of === undefined
    ? 'nothing drained'
    : `p50 ${of.p50.toFixed(2)} s, max ${of.max.toFixed(2)} s (${of.count})`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
