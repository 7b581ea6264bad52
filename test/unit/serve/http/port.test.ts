/** Holding a port. Hunts a port that two take, a default that is in use and stops a node, and an address that nobody reaches. */
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { holdPort, type HeldPort } from '../../../../src/serve/http/port.js';
import { startNode } from './node.js';

const held: HeldPort[] = [];
afterEach(async () => {
  await Promise.all(held.splice(0).map((one) => one.release()));
});
const hold = async (port: number, more: { host?: string; furtherPorts?: number } = {}): Promise<HeldPort> => {
  const one = await holdPort({ host: '127.0.0.1', port, machine: 'node-7.example', ...more });
  held.push(one);
  return one;
};

it('a port that was held is nobody else’s, and is served once it is let go of', async () => {
  const first = await hold(0);
  const { port, url } = first;
  expect(url).toBe(`http://127.0.0.1:${port}`);
  await expect(hold(port)).rejects.toMatchObject({ code: 'GS_HTTP_PORT' });
  await first.release();
  const node = await startNode({ port });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  await node.close();
});

it('who asks while it is held is asked to come again', async () => {
  const { url } = await hold(0);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

it('the next free port is taken where that is allowed', async () => {
  const first = await hold(0);
  const second = await hold(first.port, { furtherPorts: 20 });
  expect(second.port).toBeGreaterThan(first.port);
});

it('what is no address of this machine is said, and is not tried elsewhere', async () => {
  await expect(hold(0, { host: '192.0.2.1', furtherPorts: 3 })).rejects.toMatchObject({
    code: 'GS_HTTP_PORT',
    message: expect.stringContaining('no address of this machine') as string,
  });
});

it('an address that stands for all is told by the machine’s name', async () => {
  const { url, port } = await hold(0, { host: '0.0.0.0' });
  expect(url).toBe(`http://node-7.example:${port}`);
  const server = createServer();
  server.listen(0, 'localhost');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port: taken } = server.address() as AddressInfo;
  server.close();
  expect((await hold(taken, { host: 'localhost', furtherPorts: 20 })).url).toMatch(/^http:\/\/127\.0\.0\.1:/);
});
