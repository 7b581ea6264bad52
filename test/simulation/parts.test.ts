/** Hunts: a simulation that is kinder, or stranger, than what it stands for. Undisturbed, its parts pass the real ones' suites. */
import { afterAll } from 'vitest';
import { Subjects } from '../../src/log/subjects.js';
import { sleep } from '../../src/core/clock.js';
import { leasesContract } from '../contract/leases.contract.js';
import { logContract } from '../contract/log.contract.js';
import { storeContract } from '../contract/store.contract.js';
import { Dice } from './dice.js';
import { Scheduler, SimProcess } from './sim-clock.js';
import { until } from '../support/until.js';
import { SimLeases } from './sim-leases.js';
import { SimLog } from './sim-log.js';
import { SimConnection, SimServer } from './sim-server.js';
import { SimDisk, SimStore } from './sim-store.js';

const WALL_MS = Date.UTC(2023, 6, 22);
const PAYLOAD_BYTES_MAX = 4_096;
/** Whose time passes: that of the test that runs. */
let running = 0;

afterAll(() => {
  running++;
});

/** A process of a region where nothing goes wrong. Its time passes as ours does, as long as the tests run. */
function undisturbed(): { process: SimProcess; server: SimServer; dice: Dice } {
  const dice = new Dice(1);
  const scheduler = new Scheduler(dice);
  const server = new SimServer(scheduler, dice.of('server'), WALL_MS);
  const startedMs = performance.now();
  const mine = ++running;
  const isOver = (): boolean => mine !== running;
  const pass = async (): Promise<void> => {
    while (!isOver()) {
      await scheduler.run(isOver, performance.now() - startedMs);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  pass().catch(() => undefined);
  return { process: new SimProcess('test', scheduler, WALL_MS), server, dice };
}

logContract('SimLog', () => {
  const { process, server, dice } = undisturbed();
  const stream = server.stream('GS_x', PAYLOAD_BYTES_MAX);
  const connection = new SimConnection(server, process);
  return Promise.resolve({ log: new SimLog({ connection, stream, dice }), subjects: new Subjects('x') });
});

leasesContract('SimLeases', () => {
  const { process, server, dice } = undisturbed();
  const { clock, scheduler } = process;
  let clients = 0;
  return Promise.resolve({
    client: () => {
      const own = new SimProcess(`client ${++clients}`, scheduler, WALL_MS);
      return new SimLeases(new SimConnection(server, own), server.leases, dice);
    },
    until: (what, condition) => until(what, condition, { deadlineMs: 20_000, pollMs: 5 }),
    settle: () => sleep(clock, 20),
    now: () => clock.monotonic(),
  });
});

storeContract('SimStore', () => {
  const { process, dice } = undisturbed();
  const store = SimStore.open({ disk: new SimDisk(), process, dice });
  return Promise.resolve({ store, dispose: () => store.close() });
});
