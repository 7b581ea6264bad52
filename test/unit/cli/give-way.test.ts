// Hunts: a thread that makes its whole process give way, or one that asks for a priority it may not have.
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

const program = new URL('../../../src/cli/give-way.ts', import.meta.url);

/** Nice values of a thread that has given way, from one it was given before: its own, not its process's. */
async function niceOfThread(before: number | undefined, first = ''): Promise<number> {
  const load = `
    import('tsx/esm/api').then(async ({ register }) => {
      register();
      const { giveWay } = await import(${JSON.stringify(program.href)});
      const os = require('node:os');
      ${before === undefined ? '' : `os.setPriority(${before});`}
      ${first}
      giveWay();
      require('node:worker_threads').parentPort.postMessage(os.getPriority());
    });`;
  const worker = new Worker(load, { eval: true });
  try {
    return await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  } finally {
    await worker.terminate();
  }
}

it.runIf(process.platform === 'linux')('a thread gives way, and its process does not', async () => {
  const own = getPriority();
  expect(await niceOfThread(undefined)).toBe(Math.max(own, 10));
  expect(getPriority()).toBe(own);
});

it.runIf(process.platform === 'linux')('who gives way more already keeps to that', async () => {
  expect(await niceOfThread(15)).toBe(Math.max(getPriority(), 15));
});

it.runIf(process.platform === 'linux')('who may not is as before', async () => {
  const forbid = `
    os.setPriority = () => { throw new Error('EPERM'); };
    require('node:module').syncBuiltinESMExports();`;
  expect(await niceOfThread(undefined, forbid)).toBe(getPriority());
});
