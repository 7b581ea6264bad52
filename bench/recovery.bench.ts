/**
 * How long a new machine takes to have all states: base snapshots from a real nats-server into an empty LMDB.
 *
 *   npm run recovery -- [--actors 100000] [--bytes 150] [--partitions 16] [--json]
 */
import { parseArgs } from 'node:util';
import { machine } from './machine.js';
import { measureRecovery } from './recovery.js';

const { values } = parseArgs({
  options: {
    actors: { type: 'string', default: '100000' },
    bytes: { type: 'string', default: '150' },
    partitions: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
  },
});
const on = machine();
const report = await measureRecovery({
  actors: Number(values.actors),
  bytesEach: Number(values.bytes),
  partitions: Number(values.partitions),
});
if (!values.json) {
  const seconds = (value: number): string => `${value.toFixed(2)} s`;
  console.log(`${on.cpu}, ${on.cores} cores, Node ${on.node}, load ${on.loadAtStart} at the start`);
  console.log(
    `${report.actors.toLocaleString('en-US')} actors, ${(report.bytes / 1e6).toFixed(1)} MB, ${values.partitions} partitions`,
  );
  console.log(`  base snapshots made and stored     ${seconds(report.makeSeconds)}`);
  console.log(`  … longest turn of the event loop   ${report.heldUpMs.toFixed(1)} ms`);
  console.log(`  read, and thrown away              ${seconds(report.readSeconds)}`);
  console.log(`  restored into an empty LMDB        ${seconds(report.restoreSeconds)}`);
}
console.log(JSON.stringify({ ...report, ...on }));
