/** `groundswell drain`: lets a node hand over all that it owns, and tells how far it is. It runs on without partitions. */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import { numbered } from '../serve/nodes/region-alarms.js';
import { oneOf } from '../serve/nodes/region-nodes.js';
import type { RegionNode } from '../serve/nodes/region-status.js';
import { duration } from './command.js';
import { ending, pause } from './ending.js';
import type { NodesDoor } from './nodes-door.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { note, say } from './screen.js';

interface Options {
  http?: string;
  nats?: string;
  region?: string;
  undo: boolean;
  within: number;
  json: boolean;
}

const LOOK_EVERY_MS = 200;
const WITHIN_MS = 60_000;

export function drainCommand(program: Command): void {
  withNode(program.command('drain'))
    .description('let a node hand all of its partitions to others, and stay without until --undo')
    .argument('<node>', 'its name or id, as groundswell status has it')
    .option('--undo', 'let it take its share again', false)
    .option('--within <duration>', 'give up waiting after this time; the node goes on', duration, WITHIN_MS)
    .option('--nats <url>', 'ask the nodes over their nats-server instead; needs --region')
    .option('--region <name>', 'region of the node, with --nats')
    .option('--json', 'one JSON object at the end', false)
    .addHelpText(
      'after',
      '\nExits with 0 when the node owns nothing any more, or with --undo when it was told.',
    )
    .addHelpText('after', '\nExample:\n  groundswell drain sf-2 --http 7380')
    .action(drain);
}

async function drain(node: string, options: Options): Promise<void> {
  const end = ending();
  const door = await openDoor(options);
  try {
    const { id, name } = await door.drain(node, !options.undo);
    if (options.undo) {
      if (options.json) say(JSON.stringify({ id, name, draining: false }));
      else say(`${name} takes its share of the partitions again`);
      return;
    }
    const seconds = await untilEmpty(door, id, {
      withinMs: options.within,
      signal: end.signal,
      tell: options.json ? () => undefined : note,
    });
    if (options.json) say(JSON.stringify({ id, name, draining: true, owned: [], seconds }));
    else
      say(
        `${name} owns nothing any more; it stays so until it is stopped, or until groundswell drain ${name} --undo`,
      );
  } finally {
    end.release();
    await door.close();
  }
}

async function openDoor(options: Options): Promise<NodesDoor> {
  if (options.nats !== undefined) {
    if (options.region === undefined)
      throw new GroundswellError('GS_USAGE', 'With --nats, the region of the node is needed.', {
        remedy: 'Name it: --region sf.',
      });
    const { DirectDoor } = await import('./direct-door.js');
    return DirectDoor.open(options.nats, options.region);
  }
  const client = new NodeClient(nodeAddress(options.http));
  return {
    status: () => client.status(),
    drain: (nameOrId, on) => client.drain(nameOrId, on),
    close: () => Promise.resolve(),
  };
}

/**
 * Waits until a node owns nothing, and tells of each step. Gives how long that took, seconds.
 * @throws GroundswellError GS_NOT_FOUND when it dies on the way, GS_NO_SUCCESSOR when the others do, GS_BUSY when it takes too long
 */
export async function untilEmpty(
  door: Pick<NodesDoor, 'status'>,
  id: string,
  { withinMs, signal, tell }: { withinMs: number; signal: AbortSignal; tell: (line: string) => void },
): Promise<number> {
  const startedMs = systemClock.monotonic();
  let before = '';
  for (;;) {
    const { nodes } = await door.status();
    const node = oneOf(nodes, id);
    const left = node.owned;
    if (node.state === 'gone' || node.state === 'left')
      throw new GroundswellError(
        'GS_NOT_FOUND',
        `Node ${node.name} has ended on the way: others take what it had.`,
        {
          remedy: 'Look at groundswell status.',
        },
      );
    const now = left.length === 0 ? 'none' : numbered(left, 'partition');
    if (now !== before && left.length > 0) tell(`${node.name} still owns ${now}`);
    before = now;
    if (left.length === 0) return Number(((systemClock.monotonic() - startedMs) / 1000).toFixed(3));
    expectSuccessor(nodes, node);
    if (systemClock.monotonic() - startedMs > withinMs)
      throw new GroundswellError(
        'GS_BUSY',
        `Node ${node.name} still owns ${now} after ${withinMs / 1_000} s: its successors have not caught up with their journals.`,
        { remedy: 'It goes on handing over: look at groundswell status, or wait longer with --within.' },
      );
    await pause(LOOK_EVERY_MS, signal);
    if (signal.aborted)
      throw new GroundswellError('GS_BUSY', `Ended while node ${node.name} still owns ${now}.`, {
        remedy: `It goes on handing over; groundswell drain ${node.name} --undo ends that.`,
      });
  }
}

function expectSuccessor(nodes: readonly RegionNode[], node: RegionNode): void {
  if (nodes.some(({ id, state }) => id !== node.id && (state === 'alive' || state === 'silent'))) return;
  throw new GroundswellError(
    'GS_NO_SUCCESSOR',
    `Node ${node.name} cannot hand over the rest: no other node is left that could take it.`,
  );
}
