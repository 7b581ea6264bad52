/** Whether the node can do its work, as reasons why not: what a load balancer and an operator ask first. */
import type { NodeStatus } from '../../node/status.js';
import { unclaimed } from '../nodes/first-share.js';
import { numbered } from '../nodes/region-alarms.js';
import type { HttpFacts } from './facts.js';

/** How many partitions are named before the rest is only counted. */
const NAMED_MAX = 8;

/** Empty when the node is ready; otherwise one sentence for each thing that is missing. */
export function readiness(
  facts: Pick<HttpFacts, 'node' | 'draining' | 'nats' | 'view' | 'producer' | 'readyLagMax'>,
  status: NodeStatus,
): string[] {
  const reasons: string[] = [];
  if (status.state !== 'running') reasons.push(`the node is ${status.state}`);
  else if (facts.draining()) reasons.push('the node is draining');
  else if (!status.serving)
    reasons.push('the node’s lease is not fresh: it does nothing until that is renewed');
  const waiting = facts.draining() ? [] : unclaimed(status);
  if (waiting.length > 0)
    reasons.push(`nobody owns ${numbered(waiting, 'partition')} yet, and it is this node’s turn`);
  if (status.state === 'running' && !facts.draining()) reasons.push(...(facts.node.troubles?.() ?? []));
  if (!facts.nats().connected) reasons.push('there is no connection to nats-server');
  const behind = status.partitions.filter(({ lagMessages }) => lagMessages > facts.readyLagMax);
  if (behind.length > 0) {
    const named = behind
      .slice(0, NAMED_MAX)
      .map(({ partition, lagMessages }) => `${partition} (${lagMessages})`);
    const more = behind.length > NAMED_MAX ? ` and ${behind.length - NAMED_MAX} more` : '';
    const list = `${named.join(', ')}${more}`;
    reasons.push(`more than ${facts.readyLagMax} messages wait in the input of partition ${list}`);
  }
  if (facts.view.failure !== undefined) reasons.push('the view of the rows has failed');
  else if (!facts.view.caughtUp) reasons.push('the view of the rows has not caught up');
  if (facts.producer.failure !== undefined) reasons.push('the stream does not take events');
  return reasons;
}
