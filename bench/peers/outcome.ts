/** What the runs of the peers come to: each one's figure, its ratio to Groundswell, and whether its rows are right. */
import { median } from '../machine.js';
import { spreadOf, type Spread } from '../compare/statistics.js';

export type Outcome =
  | {
      readonly kind: 'ran';
      readonly events: number;
      readonly seconds: number;
      readonly rows?: number;
      readonly rowsHash?: string;
    }
  | { readonly kind: 'unavailable'; readonly why: string };

/** A peer's outcomes, a round after the other. */
export type Rounds = Readonly<Record<string, readonly Outcome[]>>;

export interface Standing {
  readonly name: string;
  readonly events: number;
  readonly eventsPerSecond: number;
  /** Events a second as a share of Groundswell's in the same round; undefined where that did not run. */
  readonly ofGroundswell: Spread | undefined;
}

const BASELINE = 'groundswell';

/** Those that ran in every round. */
export function standingsOf(rounds: Rounds): Standing[] {
  const rates = new Map<string, number[]>();
  for (const [name, outcomes] of Object.entries(rounds)) {
    const ran = outcomes.flatMap((outcome) =>
      outcome.kind === 'ran' ? [outcome.events / outcome.seconds] : [],
    );
    if (ran.length > 0 && ran.length === outcomes.length) rates.set(name, ran);
  }
  const baseline = rates.get(BASELINE);
  return [...rates].map(([name, own]) => {
    const [first] = rounds[name]!;
    return {
      name,
      events: first?.kind === 'ran' ? first.events : 0,
      eventsPerSecond: median(own),
      ofGroundswell:
        baseline === undefined ? undefined : spreadOf(own.map((rate, round) => rate / baseline[round]!)),
    };
  });
}

/** @throws Error when a peer's rows are not those that the check has found for as many events */
export function expectRows(name: string, outcome: Outcome, expectedHash: (events: number) => string): void {
  if (outcome.kind !== 'ran' || outcome.rowsHash === undefined) return;
  const expected = expectedHash(outcome.events);
  if (outcome.rowsHash !== expected)
    throw new Error(
      `${name} wrote other rows (${outcome.rowsHash}) than it should have (${expected}): its figure is of no use`,
    );
}
