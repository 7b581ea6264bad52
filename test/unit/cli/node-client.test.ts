/**
 * The way to a node. Hunts silences that last for ever, answers of something else taken for a node's, errors that lose
 * their code and remedy on the way, and addresses that are misread.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeClient, nodeAddress } from '../../../src/cli/node-client.js';
import type { GroundswellError } from '../../../src/core/errors.js';
import { FakeNode, json, problem, report } from './fake-node.js';

let node: FakeNode;
let client: NodeClient;

beforeEach(async () => {
  node = await FakeNode.start();
  client = new NodeClient(node.address, { timeoutMs: 5_000 });
});
afterEach(() => node.close());

const failure = (asked: Promise<unknown>): Promise<GroundswellError> =>
  asked.then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => error as GroundswellError,
  );

describe('the address of a node', () => {
  it.each([
    ['8080', 'http://127.0.0.1:8080'],
    ['node-1:7380', 'http://node-1:7380'],
    ['http://node-1:7380/', 'http://node-1:7380'],
    ['https://node-1/gs/?x#y', 'https://node-1/gs'],
    ['[::1]:7380', 'http://[::1]:7380'],
  ])('%s is %s', (text, address) => {
    expect(nodeAddress(text, {})).toBe(address);
  });

  it('comes from the option, then the environment, then is the usual one', () => {
    expect(nodeAddress('1', { GROUNDSWELL_HTTP: '2' })).toBe('http://127.0.0.1:1');
    expect(nodeAddress(undefined, { GROUNDSWELL_HTTP: '2' })).toBe('http://127.0.0.1:2');
    expect(nodeAddress(undefined, { GROUNDSWELL_HTTP: '' })).toBe('http://127.0.0.1:7380');
  });

  it.each(['70000', '0', 'nats://x:4222', 'http://', 'a b', 'http://x:y'])('%s is refused', (text) => {
    expect(() => nodeAddress(text, {})).toThrow(
      expect.objectContaining({ code: 'GS_USAGE', exitCode: 2 }) as Error,
    );
  });
});

describe('a node that does not answer', () => {
  it('because nothing listens there is said with its address and what to do', async () => {
    const { address } = node;
    await node.close();
    const error = await failure(client.status());
    expect(error).toMatchObject({ code: 'GS_NODE_UNREACHABLE', exitCode: 1 });
    expect(error.message).toContain(`No groundswell node answers at ${address}: the connection was refused.`);
    expect(error.remedy).toContain('groundswell start');
    node = await FakeNode.start();
  });

  it.each(['before its answer', 'in the middle of it'])('%s does not hold anybody up', async (when) => {
    node.answers.set('/v1/status', (_, response) => {
      if (when === 'before its answer') return;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"version":');
    });
    const error = await failure(new NodeClient(node.address, { timeoutMs: 50 }).status());
    expect(error.code).toBe('GS_NODE_UNREACHABLE');
    expect(error.message).toContain('did not answer within 0.05 s');
  });

  it('is given up when asked to', async () => {
    const ending = new AbortController();
    node.answers.set('/v1/status', () => {
      ending.abort();
    });
    await failure(new NodeClient(node.address, { signal: ending.signal }).status());
  });

  it('because the connection breaks off is an error of the catalogue', async () => {
    node.answers.set('/v1/status', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
      response.write('{"ver', () => response.destroy());
    });
    expect((await failure(client.status())).code).toBe('GS_NODE_UNREACHABLE');
  });
});

describe('something else that answers', () => {
  it.each([200, 404, 502])('with status %d is not taken for a node', async (status) => {
    node.answers.set('/v1/status', (_, response) => {
      response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>hello</h1>');
    });
    const error = await failure(client.status());
    expect(error.code).toBe('GS_NODE_UNREACHABLE');
    expect(error.message).toContain(`is no groundswell node (status ${status}, text/html)`);
  });

  it('in JSON of another shape neither', async () => {
    node.json('/v1/status', { detail: 'no' }, 403);
    expect((await failure(client.status())).message).toContain('is no groundswell node');
  });

  it('without end is cut off', async () => {
    node.answers.set('/v1/status', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(1024 * 1024), more);
      };
      more();
    });
    const error = await failure(new NodeClient(node.address, { timeoutMs: 30_000 }).status());
    expect(error.message).toContain('its answer is larger than');
  });
});

describe('an error that a node answers with', () => {
  it('keeps its code, message, remedy, and so its exit code', async () => {
    node.answers.set(
      '/v1/actors/cel/9q8yyk',
      problem(400, 'GS_USAGE', 'Did you mean cell?', 'There are cell.'),
    );
    expect(await failure(client.actor('cel', '9q8yyk'))).toMatchObject({
      code: 'GS_USAGE',
      exitCode: 2,
      message: 'Did you mean cell?',
      remedy: 'There are cell.',
    });
  });

  it('of a newer node, with a code that is not known here, names it', async () => {
    node.answers.set('/v1/status', problem(500, 'GS_NEW', 'Something new.'));
    const error = await failure(client.status());
    expect(error.message).toContain('Something new. (GS_NEW)');
    expect(error.remedy).toBe('Do it otherwise.');
  });
});

describe('what is asked for', () => {
  it('is written so that the node understands it, whatever the key', async () => {
    for (const path of [
      '/v1/actors/driver/a%20b/c%3Fd',
      '/v1/features/region',
      '/v1/features/cell/9q8yyk',
      '/v1/dead',
    ])
      node.answers.set(path, json({ items: [] }));
    await client.actor('driver', 'a b/c?d');
    await client.features('region', '', { history: 5 });
    await client.features('cell', '9q8yyk', { window: '5m' });
    await client.deadLetters({ type: 'ride.requested', limit: 2 });
    expect(node.asked).toEqual([
      '/v1/actors/driver/a%20b/c%3Fd',
      '/v1/features/region?history=5',
      '/v1/features/cell/9q8yyk?window=5m',
      '/v1/dead?type=ride.requested&limit=2',
    ]);
  });

  it('of readiness is an answer also when the node is not ready', async () => {
    node.json('/readyz', { ready: false, reasons: ['it is draining'] }, 503).json('/v1/status', report());
    expect(await client.ready()).toEqual({ ready: false, reasons: ['it is draining'] });
    expect(await client.status()).toEqual(report());
  });
});
