/**
 * The order in which a frame's events are taken: actor by actor, those of one as they stand. Nobody can tell it from the order in
 * which they came, for actors are told nothing of each other before the step is done; but an actor is looked up once, and what
 * it holds is in the processor's cache when its next event comes. With many actors that is most of what an event costs.
 */
import type { EventRoute } from '../actor/registry.js';
import type { RecordColumn, RecordShape } from './columns.js';

/** With a larger share of actors among the events there is little to gain. */
const ACTORS_SHARE = 0.75;

/** Which actor each object of a shape is for, as a number; `actors` of them or fewer. */
interface Actors {
  readonly actorAt: ArrayLike<number>;
  readonly actors: number;
}

/** Places of the events, in the order in which they are to be taken; undefined when that is as they stand. */
export function actorOrder(
  events: RecordColumn,
  count: number,
  routes: ReadonlyMap<string, EventRoute>,
): Uint32Array | undefined {
  const found = actorsOf(events, count, routes);
  if (found === undefined || found.actors > count * ACTORS_SHARE) return undefined;
  const { actorAt, actors } = found;
  // Sorted by counting: where the events of each actor begin, then each to its place.
  const next = new Uint32Array(actors + 1);
  for (let i = 0; i < count; i++) next[actorAt[i]! + 1]!++;
  for (let actor = 0; actor < actors; actor++) next[actor + 1]! += next[actor]!;
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[next[actorAt[i]!]!++] = i;
  return order;
}

function actorsOf(
  { shapes, shapeAt, placeAt }: RecordColumn,
  count: number,
  routes: ReadonlyMap<string, EventRoute>,
): Actors | undefined {
  const keyed = shapes.map((shape) => keysOf(shape, routes));
  const [first] = keyed;
  if (first === undefined || keyed.includes(undefined)) return undefined;
  // Keys that are no choices hardly repeat.
  if (shapeAt === undefined) return first.choiceAt && { actorAt: first.choiceAt, actors: first.choices };
  const known = new Map<string, Map<string, number>>();
  let actors = 0;
  const byShape = (keyed as Keys[]).map(({ actorType, keys, choiceAt }) => {
    let ofType = known.get(actorType);
    if (ofType === undefined) known.set(actorType, (ofType = new Map<string, number>()));
    const numberOf = (key: string): number => {
      const number = ofType.get(key);
      if (number === undefined) ofType.set(key, actors);
      return number ?? actors++;
    };
    if (choiceAt === undefined) return Array.from(keys, numberOf);
    const byChoice: number[] = [];
    return Array.from(choiceAt, (choice, i) => (byChoice[choice] ??= numberOf(keys[i]!)));
  });
  const actorAt = Array.from({ length: count }, (_, i) => byShape[shapeAt[i]!]![placeAt![i]!]!);
  return { actorAt, actors };
}

interface Keys {
  readonly actorType: string;
  readonly keys: ArrayLike<string>;
  readonly choiceAt: Uint32Array | undefined;
  readonly choices: number;
}

/** Keys of the actors that objects of a shape are for; undefined when they are not all events of one type with a key. */
function keysOf(
  { names, fields, count }: RecordShape,
  routes: ReadonlyMap<string, EventRoute>,
): Keys | undefined {
  const types = fields[names.indexOf('type')]?.values;
  if (types === undefined || count === 0) return undefined;
  for (let i = 1; i < count; i++) if (types[i] !== types[0]) return undefined;
  const route = routes.get(types[0] as string);
  const field = route && fields[names.indexOf(route.keyField)];
  if (field === undefined) return undefined;
  const { values, choiceAt, choices = 0 } = field;
  let same = true;
  for (let i = 0; i < count; i++) {
    if (typeof values[i] !== 'string') return undefined;
    same &&= values[i] === values[0];
  }
  const { actorType } = route!;
  const keys = values as ArrayLike<string>;
  if (same) return { actorType, keys, choiceAt: new Uint32Array(count), choices: 1 };
  return { actorType, keys, choiceAt, choices };
}
