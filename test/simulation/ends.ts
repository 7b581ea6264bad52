/** How processes may end: of what went wrong with their surroundings, with a word that says so, and of nothing else. */
import { GroundswellError, type ErrorCode } from '../../src/core/errors.js';
import type { Audit } from './audit.js';
import type { Plan } from './schedule.js';
import type { NodeEnd } from './sim-node.js';
import type { ProducerHost } from './sim-producer.js';

export interface Ends {
  readonly nodes: readonly NodeEnd[];
  readonly producers: readonly ProducerHost[];
  /** The stream was deleted under them. */
  readonly deleted: boolean;
}

export function checkEnds({ membership }: Plan, ends: Ends, audit: Audit): void {
  const expected = new Set<ErrorCode>(['GS_LOG', 'GS_DATA_WRITE', 'GS_DATA_CORRUPT']);
  // Who believes to be alone and is not, or finds that a batch of an earlier process was stored after all.
  if (!membership) expected.add('GS_FENCED');
  if (ends.deleted) expected.add('GS_STREAM_LOST');
  for (const { who, failure } of ends.nodes) {
    const code = codeOf(failure);
    if (failure !== undefined && (code === undefined || !expected.has(code)))
      audit.violate('failure', `${who} failed: ${textOf(failure)}`);
  }
  for (const { failures, id } of ends.producers)
    for (const failure of failures)
      if (!ends.deleted || codeOf(failure) !== 'GS_STREAM_LOST')
        audit.violate('failure', `${id} failed: ${textOf(failure)}`);
}

export function codeOf(failure: unknown): ErrorCode | undefined {
  return failure instanceof GroundswellError ? failure.code : undefined;
}

function textOf(failure: unknown): string {
  return failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
}
