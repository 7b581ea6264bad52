/** `groundswell quarantine`: actors that are not called any more, for their calls had failed one after the other. */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.js';
import { GroundswellError } from '../core/errors.js';
import type { RegionQuarantine } from '../serve/nodes/region-nodes.js';
import { ending, pause } from './ending.js';
import { parseActor } from './inspect.js';
import { fitted } from './live-picture.js';
import { NodeClient, nodeAddress, withNode } from './node-client.js';
import { plain } from './readable.js';
import { colors, count, say, table } from './screen.js';
import { localAndUtc } from './times.js';

interface Options {
  http?: string;
  json: boolean;
}

const LOOK_EVERY_MS = 200;
/** Until a release has gone through the stream and its commit is acknowledged. */
const WITHIN_MS = 15_000;

export function quarantineCommand(program: Command): void {
  const quarantine = program
    .command('quarantine')
    .description('look at actors whose calls failed again and again, and let them go on')
    .addHelpText('after', '\nExample:\n  groundswell quarantine list');
  withNode(quarantine.command('list'))
    .description('list the region’s actors in quarantine')
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell quarantine list --http 7380')
    .action(list);
  withNode(quarantine.command('release'))
    .description('let an actor go on: it takes what was kept for it, in order')
    .argument('<actor>', 'its address: cell/9q8yyk, driver/<id>')
    .option('--json', 'as JSON', false)
    .addHelpText(
      'after',
      '\nWhy its calls failed is in the dead letters: groundswell dead list --reason threw',
    )
    .addHelpText('after', '\nExample:\n  groundswell quarantine release cell/9q8yyk')
    .action(release);
}

async function list({ http, json }: Options): Promise<void> {
  const client = new NodeClient(nodeAddress(http));
  const [found, timezone] = await Promise.all([
    client.quarantined(),
    json ? 'UTC' : client.status().then((status) => status.timezone),
  ]);
  if (json) say(JSON.stringify(found));
  else for (const line of quarantineLines(found, timezone)) say(fitted(line));
}

export function quarantineLines(
  { count: all, actors, silent }: RegionQuarantine,
  timezone: string,
): string[] {
  const unheard = silent.map((name) =>
    colors.yellow(`Node ${plain(name)} did not answer: its actors are not listed.`),
  );
  if (all === 0) return [...unheard, 'No actor is in quarantine.'];
  const lines = table([
    ['actor', 'since', 'failures', 'kept'],
    ...actors.map(({ actor, sinceMs, failures, kept }) => [
      plain(actor),
      localAndUtc(sinceMs, timezone),
      count(failures),
      count(kept),
    ]),
  ]);
  if (actors.length < all) lines.push('', `${count(all - actors.length)} more are not listed.`);
  return [...unheard, ...lines];
}

async function release(actor: string, { http, json }: Options): Promise<void> {
  const { type, key } = parseActor(actor);
  const client = new NodeClient(nodeAddress(http));
  const end = ending();
  try {
    const { kept, sinceMs } = await client.release(`${type}/${key}`);
    const again = await untilReleased(client, { type, key, sinceMs }, end.signal);
    if (json) say(JSON.stringify({ actor, kept, quarantined: again }));
    else if (again) say(`${plain(actor)} was released, failed again and is back in quarantine`);
    else say(`${plain(actor)} goes on, and has taken the ${count(kept)} that were kept for it`);
  } finally {
    end.release();
  }
}

/**
 * True when it came back into quarantine at once.
 * @param options.sinceMs since when it was there before
 * @throws GroundswellError GS_BUSY when it takes too long
 */
export async function untilReleased(
  client: Pick<NodeClient, 'actor'>,
  { type, key, sinceMs }: { type: string; key: string; sinceMs: number },
  signal: AbortSignal,
): Promise<boolean> {
  const startedMs = systemClock.monotonic();
  for (;;) {
    const { quarantine } = await client.actor(type, key);
    if (quarantine === undefined) return false;
    if (quarantine.sinceMs !== sinceMs) return true;
    if (signal.aborted || systemClock.monotonic() - startedMs > WITHIN_MS)
      throw new GroundswellError('GS_BUSY', `${type}/${key} is not released yet.`, {
        remedy: 'The release is in the stream and will be taken: look at groundswell quarantine list.',
      });
    await pause(LOOK_EVERY_MS, signal);
  }
}
