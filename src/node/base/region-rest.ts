/**
 * Whether a snapshot is of a region at rest: no event and no message waits anywhere. Only then can an actor be moved to
 * another partition: nothing that was meant for it comes later to where it was.
 *
 * Nothing needs to be at the same time: a stage may close up to the lowest mark of all partitions, which stays what it was
 * when all get it; a timer that has not fired yet up to there fires in the actor's new partition.
 */
import { GroundswellError } from '../../core/errors.js';
import type { ObjectStore } from '../../log/objects.js';
import { decodeEventFrame, decodeMailFrame } from '../../partition/frame.js';
import { decodeControl, type Control } from '../../partition/journal.js';
import type { RegionSnapshot, SnapshotPart } from './region-manifest.js';
import { openInputs, openRecords } from './region-restore.js';

export interface Rest {
  /** Of the partitions that ever committed. */
  readonly controls: readonly Control[];
  /** By stage: the lowest of all partitions. */
  readonly marks: readonly number[];
  readonly closed: readonly number[];
  /** Of stage 0: the highest, for a watermark never goes back. */
  readonly watermarkMs: number;
}

const REMEDY =
  'Stop all producers and wait until groundswell status shows no lag; then stop the nodes and try again.';

/**
 * @param forgotten producers whose place in their events may be lost: they must not send again what they have sent
 * @throws GroundswellError GS_BUSY naming what is not at rest
 */
export async function expectRest(
  snapshot: RegionSnapshot,
  source: ObjectStore,
  forgotten: ReadonlySet<string>,
): Promise<Rest> {
  const controls: { part: SnapshotPart; control: Control }[] = [];
  for (const part of snapshot.parts) {
    if (part.commit === 0) continue;
    const { header } = await openRecords(snapshot, part, source);
    controls.push({ part, control: decodeControl(header.control) });
  }
  if (controls.length === 0) throw busy('no partition has ever committed');
  for (const { control } of controls) expectEnded(control, snapshot, forgotten);
  const untouched = snapshot.parts.find(({ commit, inputs }) => commit === 0 && inputs > 0);
  if (untouched !== undefined) throw busy(`partition ${untouched.partition} has not taken its first inputs`);
  const told: Told[] = [];
  for (const { part, control } of controls)
    told.push({ control, marks: await expectTaken(part, control, snapshot, source) });
  return restOf(told, snapshot);
}

interface Told {
  readonly control: Control;
  /** The partition's marks, with those that wait to be taken. */
  readonly marks: readonly number[];
}

/** The pump of raw events goes on by its cursor, which is in the snapshot; nobody else's place can be carried over. */
function expectEnded(control: Control, snapshot: RegionSnapshot, forgotten: ReadonlySet<string>): void {
  for (const [id, { ended }] of control.producers) {
    if (ended || forgotten.has(id) || (id === RAW_PRODUCER && snapshot.cursor !== null)) continue;
    throw new GroundswellError(
      'GS_BUSY',
      `The producer ${id} has not ended: how far it has come in each partition means nothing with other partitions.`,
      {
        remedy: `Let it say its last word, then try again; or give --forget ${id} when it will never send again what it has sent.`,
      },
    );
  }
}

export const RAW_PRODUCER = 'ingest';

/** Nothing waits that has an effect. Gives the marks with those that wait: alone they are committed only now and then. */
async function expectTaken(
  part: SnapshotPart,
  control: Control | undefined,
  snapshot: RegionSnapshot,
  source: ObjectStore,
): Promise<number[]> {
  const { partition } = part;
  const all = [...(control?.marks ?? [])];
  for await (const { seq, events, payload } of openInputs(snapshot, part, source)) {
    if (seq <= (control?.inputSeq ?? 0)) continue;
    if (events) {
      const frame = decodeEventFrame(payload);
      if (frame.events.length > 0 || frame.end)
        throw busy(`events of ${frame.producer} wait in partition ${partition}`);
      continue;
    }
    for (const { from, marks, messages } of decodeMailFrame(payload)) {
      if (messages.length > 0) throw busy(`mail of partition ${from} to partition ${partition} is under way`);
      marks.forEach((mark, stage) => {
        const at = stage * snapshot.partitions + from;
        all[at] = Math.max(all[at] ?? 0, mark);
      });
    }
  }
  return all;
}

function restOf(told: readonly Told[], { partitions, parts }: RegionSnapshot): Rest {
  const [{ control: first, marks: known }] = told as [Told];
  // A mark is sent with the commit that gives it: all have it, or it waits.
  if (told.some(({ marks }) => marks.some((mark, i) => mark !== known[i])))
    throw busy('the partitions do not know the same marks of each other');
  const controls = told.map(({ control }) => control);
  const stages = first.closed.map((_, stage) => stage);
  return {
    controls,
    marks: stages.map((stage) => Math.min(...known.slice(stage * partitions, (stage + 1) * partitions))),
    // One that never committed has closed nothing.
    closed: stages.map((stage) =>
      controls.length < parts.length ? 0 : Math.min(...controls.map(({ closed }) => closed[stage]!)),
    ),
    watermarkMs: Math.max(...controls.map(({ watermarkMs }) => watermarkMs)),
  };
}

function busy(why: string): GroundswellError {
  return new GroundswellError('GS_BUSY', `The region is not at rest: ${why}.`, { remedy: REMEDY });
}
