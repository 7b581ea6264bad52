/**
 * Restate's virtual objects: a driver is an object and so is a cell, each with its own state; a ping is a durable call of its
 * driver, which sends a durable call to the cell. The server is one process, the handlers run in this one.
 */
import { createServer } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.js';
import {
  minuteOf,
  newDriver,
  takePing,
  type DriverState,
  type JobPing,
  type JobRow,
  type Peer,
} from './job.js';
import { sendElsewhere } from './remote-sender.js';
import { restatePackages } from './restate-packages.js';
import { RestateServer } from './restate-server.js';

const LOOK_AGAIN_MS = 50;

interface Count {
  readonly pings: number;
  readonly drivers: number;
}

interface Add {
  readonly minute: number;
  readonly drivers: number;
}

/** What is used of the SDK here. */
interface ObjectContext {
  readonly key: string;
  get<T>(name: string): Promise<T | null>;
  set<T>(name: string, value: T): void;
  objectSendClient(definition: { readonly name: 'cell' }, key: string): { add(body: Add): void };
}
interface Sdk {
  object(definition: {
    readonly name: string;
    readonly handlers: Readonly<Record<string, (ctx: ObjectContext, body: never) => Promise<void>>>;
  }): object;
  createEndpointHandler(options: {
    readonly services: readonly object[];
    readonly logger: (line: { readonly level: string }, ...message: unknown[]) => void;
  }): Parameters<typeof createServer>[1];
}

export const restate: Peer = {
  name: 'restate',
  what: "Restate's virtual objects, an object per driver and per cell, a durable call per ping",
  guarantees:
    'every call that was handed over takes effect once, power loss included; who hands over again counts twice unless each call has an idempotency key (none here); rows are the state of the cells: nothing closes a minute',
  eventsMax: 20_000,
  async run(size) {
    const packages = await restatePackages();
    const sdk = packages.sdk as Sdk;
    let fail: (error: Error) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);
    const logger = ({ level }: { readonly level: string }, ...message: unknown[]): void => {
      // Restate tries again for ever what fails here: one failure is one too many.
      if (level === 'error') fail(new Error(`a Restate handler failed: ${message.map(String).join(' ')}`));
    };
    const endpoint = createServer(sdk.createEndpointHandler({ services: servicesOf(sdk), logger }));
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    const server = await RestateServer.start(packages.server);
    try {
      const address = endpoint.address();
      if (address === null || typeof address === 'string') throw new Error('the handlers have no port');
      await server.register(`http://127.0.0.1:${address.port}`);

      const startedMs = systemClock.monotonic();
      const sent = sendElsewhere({ how: 'calls', ingress: server.ingress, size });
      await Promise.race([sent.then(() => allDone(server)), failed]);
      const seconds = (systemClock.monotonic() - startedMs) / 1000;
      return { events: size.events, seconds, rows: await rowsOf(server) };
    } finally {
      await server.stop();
      endpoint.close();
    }
  },
};

function servicesOf(sdk: Sdk): object[] {
  const driver = sdk.object({
    name: 'driver',
    handlers: {
      async ping(ctx: ObjectContext, ping: JobPing) {
        const state = (await ctx.get<DriverState>('state')) ?? newDriver();
        const drivers = takePing(state, ping);
        ctx.set('state', state);
        if (drivers !== undefined)
          ctx.objectSendClient({ name: 'cell' }, ping.cell).add({ minute: minuteOf(ping.ts), drivers });
      },
    },
  });
  const cell = sdk.object({
    name: 'cell',
    handlers: {
      async add(ctx: ObjectContext, { minute, drivers }: Add) {
        const count = (await ctx.get<Count>(String(minute))) ?? { pings: 0, drivers: 0 };
        ctx.set(String(minute), { pings: count.pings + 1, drivers: count.drivers + drivers });
      },
    },
  });
  return [driver, cell];
}

async function allDone(server: RestateServer): Promise<void> {
  for (;;) {
    const [open] = await server.query<{ n: number }>(
      "SELECT count(*) AS n FROM sys_invocation WHERE status <> 'completed'",
    );
    if (open!.n === 0) return;
    await pause(LOOK_AGAIN_MS);
  }
}

async function rowsOf(server: RestateServer): Promise<JobRow[]> {
  const states = await server.query<{ cell: string; minute: string; count: string }>(
    "SELECT service_key AS cell, key AS minute, value_utf8 AS count FROM state WHERE service_name = 'cell'",
  );
  return states.map(({ cell, minute, count }) => ({
    cell,
    start: Number(minute),
    ...(JSON.parse(count) as Count),
  }));
}
