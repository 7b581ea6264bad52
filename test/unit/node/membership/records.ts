/** Records of nodes as tests need them. */
import type { NodeRecord } from '../../../../src/node/membership/record.js';

export function recordOf(id: string, said: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    instance: `${id}-1`,
    name: id,
    startedAtMs: 1_700_000_000_000,
    weight: 1,
    http: undefined,
    version: '1.2.3',
    draining: false,
    owned: [],
    ready: [],
    ...said,
  };
}
