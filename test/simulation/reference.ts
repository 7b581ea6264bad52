/**
 * What the rows must be, straight from the events: nothing of the engine is used here, and no window, pane or actor. Slow
 * and plain on purpose; a test holds it against the truth in SQL (`test/truth`), which is too slow for thousands of seeds.
 */
export interface ReferenceEvent {
  readonly type: string;
  readonly ts: number;
  readonly cell?: string | undefined;
  readonly driverId?: string;
  readonly riderId?: string;
  readonly rideId?: string;
  readonly status?: string;
}

export interface ReferenceOptions {
  readonly region: string;
  readonly presenceMs: number;
  /** Lengths of the windows, minutes. */
  readonly windows: readonly number[];
}

export interface Reference {
  /** Features that are not zero, by name of the row: `level key window start`. */
  readonly rows: ReadonlyMap<string, Readonly<Record<string, number>>>;
  /** Events that no ride could have. */
  readonly impossible: number;
}

const MINUTE = 60_000;
const LEVELS = ['cell', 'gh5', 'gh4', 'region'] as const;
type Level = (typeof LEVELS)[number];

/** What one event, or one second of a driver's, adds to the minute of a cell. */
interface Fact {
  readonly minute: number;
  readonly cell: string;
  readonly name: string;
  readonly value: number;
  /** Counted once per row, however often it is there. */
  readonly distinct?: string;
}

const minuteOf = (ms: number): number => Math.floor(ms / MINUTE);
const NAME_OF_WINDOW: Readonly<Record<number, string>> = { 1: '1m', 5: '5m', 15: '15m', 60: '1h' };

export function computeReference(events: readonly ReferenceEvent[], options: ReferenceOptions): Reference {
  const facts: Fact[] = [];
  for (const pings of groupBy(events, (event) =>
    event.type === 'driver.location' ? event.driverId : undefined,
  ))
    factsOfDriver(pings, options.presenceMs, facts);
  let impossible = 0;
  for (const life of groupBy(events, (event) =>
    event.rideId === undefined ? undefined : `${event.riderId} ${event.rideId}`,
  ))
    impossible += factsOfRide(life, facts);
  for (const { type, ts, cell } of events)
    if (type === 'session.opened')
      facts.push({ minute: minuteOf(ts), cell: cell!, name: 'sessions', value: 1 });
  return { rows: rowsOf(facts, options), impossible };
}

function factsOfDriver(pings: readonly ReferenceEvent[], presenceMs: number, facts: Fact[]): void {
  const inOrder = [...pings].sort((a, b) => a.ts - b.ts);
  for (const [i, ping] of inOrder.entries()) {
    const { ts, status } = ping;
    const cell = ping.cell!;
    const before = inOrder[i - 1]?.status;
    const minute = minuteOf(ts);
    if (before !== undefined && before !== 'ontrip' && status === 'ontrip')
      facts.push({ minute, cell, name: 'pickups', value: 1 });
    if (before === 'ontrip' && status === 'open') facts.push({ minute, cell, name: 'dropoffs', value: 1 });
    if (status === 'offline') continue;
    const untilMs = Math.min(inOrder[i + 1]?.ts ?? Number.POSITIVE_INFINITY, ts + presenceMs);
    const name = status === 'open' ? 'open_s' : status === 'enroute' ? 'enroute_s' : 'busy_s';
    for (let m = minute; m * MINUTE < untilMs; m++) {
      const value = Math.min(untilMs, (m + 1) * MINUTE) - Math.max(ts, m * MINUTE);
      if (value <= 0) continue;
      facts.push({ minute: m, cell, name, value });
      facts.push({ minute: m, cell, name: 'drivers', value: 1, distinct: ping.driverId! });
      if (status === 'open' && untilMs >= (m + 1) * MINUTE)
        facts.push({ minute: m, cell, name: 'open_end', value: 1 });
    }
  }
}

const ORDER = ['ride.requested', 'ride.accepted', 'ride.picked_up', 'ride.completed', 'ride.cancelled'];

/** Gives how many of the events the ride could not have. */
function factsOfRide(life: readonly ReferenceEvent[], facts: Fact[]): number {
  let phase = '';
  let cell = '';
  let requestedMs = 0;
  let impossible = 0;
  const inOrder = [...life].sort((a, b) => a.ts - b.ts || ORDER.indexOf(a.type) - ORDER.indexOf(b.type));
  for (const event of inOrder) {
    const what = event.type.slice('ride.'.length);
    const possible =
      (what === 'requested' && phase === '') ||
      (what === 'accepted' && phase === 'requested') ||
      (what === 'picked_up' && phase === 'accepted') ||
      (what === 'completed' && phase === 'picked_up') ||
      (what === 'cancelled' && (phase === 'requested' || phase === 'accepted'));
    if (!possible) {
      impossible++;
      continue;
    }
    phase = what;
    cell = event.cell ?? cell;
    const minute = minuteOf(event.ts);
    if (what === 'requested') {
      requestedMs = event.ts;
      facts.push({ minute, cell, name: 'requests', value: 1 });
      facts.push({ minute, cell, name: 'riders', value: 1, distinct: event.riderId! });
    }
    if (what === 'cancelled') facts.push({ minute, cell, name: 'cancels', value: 1 });
    if (what === 'completed') facts.push({ minute, cell, name: 'completes', value: 1 });
    if (what === 'picked_up') facts.push({ minute, cell, name: 'wait', value: event.ts - requestedMs });
  }
  return impossible;
}

function keyOf(level: Level, cell: string, region: string): string {
  return level === 'region' ? region : cell.slice(0, level === 'cell' ? 6 : level === 'gh5' ? 5 : 4);
}

/** All facts of one minute of one cell, or of all cells of one area. */
interface Minute {
  readonly sums: Map<string, number>;
  readonly distinct: Set<string>;
  readonly waits: number[];
}

function rowsOf(facts: readonly Fact[], { region, windows }: ReferenceOptions): Reference['rows'] {
  const places = new Map<string, Map<number, Minute>>();
  for (const fact of facts) {
    for (const level of LEVELS) {
      const place = `${level} ${keyOf(level, fact.cell, region)}`;
      const minutes = places.get(place) ?? new Map<number, Minute>();
      places.set(place, minutes);
      const minute: Minute = minutes.get(fact.minute) ?? { sums: new Map(), distinct: new Set(), waits: [] };
      minutes.set(fact.minute, minute);
      if (fact.distinct !== undefined) minute.distinct.add(`${fact.name} ${fact.distinct}`);
      else if (fact.name === 'wait') minute.waits.push(fact.value);
      else minute.sums.set(fact.name, (minute.sums.get(fact.name) ?? 0) + fact.value);
    }
  }
  const rows = new Map<string, Readonly<Record<string, number>>>();
  for (const [place, minutes] of places) {
    for (const length of windows) {
      const starts = new Set([...minutes.keys()].flatMap((minute) => range(minute - length + 1, minute)));
      for (const start of starts) {
        const own = range(start, start + length - 1).map((minute) => minutes.get(minute));
        rows.set(`${place} ${NAME_OF_WINDOW[length]!} ${start * MINUTE}`, featuresOf(own));
      }
    }
  }
  return rows;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** @param minutes of the window, first to last; undefined where nothing was */
function featuresOf(minutes: readonly (Minute | undefined)[]): Record<string, number> {
  const features: Record<string, number> = {};
  for (const minute of minutes)
    for (const [name, value] of minute?.sums ?? [])
      if (name !== 'open_end') features[name] = (features[name] ?? 0) + value;
  const last = minutes.at(-1);
  if (last?.sums.has('open_end') === true) features['open_end'] = last.sums.get('open_end')!;
  const presentMs = (features['open_s'] ?? 0) + (features['enroute_s'] ?? 0) + (features['busy_s'] ?? 0);
  if (minutes.length > 1) {
    if (presentMs > 0) features['drivers_mean'] = presentMs / (minutes.length * MINUTE);
  } else {
    for (const who of last!.distinct) {
      const name = who.slice(0, who.indexOf(' '));
      features[name] = (features[name] ?? 0) + 1;
    }
  }
  for (const name of ['open_s', 'enroute_s', 'busy_s']) {
    const ms = features[name];
    if (ms !== undefined) features[name] = ms / 1000;
  }
  const waits = minutes.flatMap((minute) => minute?.waits ?? []).sort((a, b) => a - b);
  if (waits.length > 0) {
    features['waits'] = waits.length;
    features['wait_s_mean'] = waits.reduce((sum, wait) => sum + wait, 0) / waits.length / 1000;
    features['wait_s_p50'] = waits[Math.floor(((waits.length - 1) * 50) / 100)]! / 1000;
    features['wait_s_p90'] = waits[Math.floor(((waits.length - 1) * 90) / 100)]! / 1000;
  }
  return features;
}

function* groupBy(
  events: readonly ReferenceEvent[],
  key: (event: ReferenceEvent) => string | undefined,
): Generator<ReferenceEvent[]> {
  const groups = new Map<string, ReferenceEvent[]>();
  for (const event of events) {
    const name = key(event);
    if (name === undefined) continue;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [event]);
    else group.push(event);
  }
  yield* groups.values();
}
