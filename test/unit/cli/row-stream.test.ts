/**
 * Following rows at a node. Hunts rows lost or doubled at the borders of chunks, a stream that ends for good when the
 * node was only restarted, one that hangs on a connection that is dead, and a loss that nobody is told of.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeClient } from '../../../src/cli/node-client.js';
import type { Watched } from '../../../src/cli/node-answers.js';
import { followNode } from '../../../src/cli/row-stream.js';
import { VirtualClock } from '../../../src/core/clock.js';
import { until } from '../../support/until.js';
import { events, FakeNode, frame, problem, row, T0 } from './fake-node.js';

const WATCH = '/v1/watch';
let node: FakeNode;
let ending: AbortController;
let clock: VirtualClock;
let got: Watched[];
let notes: string[];

beforeEach(async () => {
  node = await FakeNode.start();
  ending = new AbortController();
  clock = new VirtualClock();
  got = [];
  notes = [];
});
afterEach(async () => {
  ending.abort();
  await node.close();
});

function follow(pattern = '*', live = false): Promise<void> {
  const stream = followNode(
    new NodeClient(node.address),
    { pattern, live },
    { signal: ending.signal, note: (line) => notes.push(line), clock },
  );
  return (async () => {
    for await (const watched of stream) got.push(watched);
  })();
}

/** Lets virtual time pass until something has happened. */
async function waited(what: string, condition: () => boolean): Promise<void> {
  await until(what, () => {
    clock.advance(100);
    return condition();
  });
}

describe('a stream of rows', () => {
  it('gives rows and live values in their order, wherever its chunks are cut', async () => {
    const rows = [row({ key: '9q8yyk' }), row({ key: '9q8yym', surge: undefined }), row({ key: '9q8yyn' })];
    const live = { level: 'cell', key: '9q8yyk', values: { open: 3 }, at: T0 };
    const text =
      rows.map((one) => frame('row', one)).join(':\n\n') + frame('live', live) + frame('other', {});
    node.answers.set(WATCH, events([...text]));
    const done = follow('cell/9q8y*', true);
    await until('all have come', () => got.length === 4);
    ending.abort();
    await done;
    expect(got).toEqual([
      ...rows.map((one) => ({ kind: 'row', row: JSON.parse(JSON.stringify(one)) as unknown })),
      { kind: 'live', ...live },
    ]);
    expect(node.asked).toEqual([`${WATCH}?pattern=cell%2F9q8y*&live=1`]);
    expect(notes).toEqual([]);
  });

  it('ends without an error when asked to, whatever it waits for', async () => {
    node.answers.set(WATCH, events([]));
    const done = follow();
    await until('it is asked for', () => node.asked.length === 1);
    ending.abort();
    await done;
  });
});

describe('a stream that is lost', () => {
  it('is taken up again, and both are told', async () => {
    node.answers.set(WATCH, events([frame('row', row())], { end: true }));
    const done = follow();
    await until('the first row has come', () => got.length === 1);
    await until('the loss is told', () => notes.length === 1);
    node.answers.set(WATCH, events([frame('row', row({ rev: 1 }))]));
    await waited('the second row has come', () => got.length === 2);
    ending.abort();
    await done;
    expect(notes).toEqual([
      `The stream of ${node.address} ended: the node closed it. Trying again.`,
      expect.stringMatching(/^Connected again after .*; what came meanwhile is not shown\.$/),
    ]);
  });

  it('because the node is restarted goes on once it is there again, and is told once', async () => {
    node.answers.set(WATCH, events([frame('row', row())]));
    const done = follow();
    await until('the first row has come', () => got.length === 1);
    const { port } = node;
    await node.close();
    await waited('it has tried several times', () => clock.now() > 20_000);
    node = await FakeNode.start(port);
    node.answers.set(WATCH, events([frame('row', row({ rev: 1 }))]));
    await waited('the second row has come', () => got.length === 2);
    ending.abort();
    await done;
    expect(notes).toHaveLength(2);
  });

  it.each([
    ['slow', 'this reader took more slowly than rows came'],
    ['closing', 'the node is stopping'],
    ['later', 'the node closed it'],
  ])('with the reason "%s" says why', async (reason, why) => {
    node.answers.set(WATCH, events([frame('end', { reason })], { end: true }));
    const done = follow();
    await until('the loss is told', () => notes.length === 1);
    ending.abort();
    await done;
    expect(notes[0]).toContain(why);
  });

  it('without a word is noticed when nothing has come for longer than a node is ever silent', async () => {
    node.answers.set(WATCH, events([frame('row', row())]));
    const done = follow();
    await until('the first row has come', () => got.length === 1);
    clock.advance(44_000);
    expect(notes).toEqual([]);
    await waited('the silence is told', () => notes.length === 1);
    expect(notes[0]).toContain('nothing has come for 45 s');
    ending.abort();
    await done;
  });
});

describe('what cannot be followed', () => {
  it('because the node refuses it ends with its error', async () => {
    node.answers.set(WATCH, problem(400, 'GS_USAGE', 'No such level.', 'Forms: …'));
    await expect(follow('town/x')).rejects.toMatchObject({ code: 'GS_USAGE', remedy: 'Forms: …' });
  });

  it('because nobody answers at first ends at once', async () => {
    await node.close();
    await expect(follow()).rejects.toMatchObject({ code: 'GS_NODE_UNREACHABLE' });
    node = await FakeNode.start();
  });

  it('because it is refused later, by a node of another region there now, ends with its error', async () => {
    node.answers.set(WATCH, events([], { end: true }));
    const done = follow('gs.sf.agg.>');
    done.catch(() => undefined);
    await until('the loss is told', () => notes.length === 1);
    node.answers.set(WATCH, problem(400, 'GS_USAGE', 'This node serves nyc.'));
    await waited('it has asked again', () => node.asked.length === 2);
    await expect(done).rejects.toMatchObject({ code: 'GS_USAGE' });
  });

  it('because an event has no end is given up, not gathered for ever', async () => {
    node.answers.set(WATCH, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const more = (): void => {
        if (!response.destroyed) response.write(`data: ${'x'.repeat(1024 * 1024)}\n`, more);
      };
      more();
    });
    const done = follow();
    await until('the loss is told', () => notes.length === 1);
    ending.abort();
    await done;
  });
});
