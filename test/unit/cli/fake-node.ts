/** A node's HTTP interface with answers made up by the test: what the commands that look inside are tried against. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Row } from '../../../src/actor/row.js';
import type { CellReport, NodeReport } from '../../../src/cli/node-answers.js';
import { zeroStats } from '../../../src/node/status.js';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export class FakeNode {
  /** By path without query. */
  readonly answers = new Map<string, Answer>();
  /** Paths with their queries, in the order in which they were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  #port = 0;

  static async start(port = 0): Promise<FakeNode> {
    const node = new FakeNode();
    await new Promise<void>((resolve) => node.#server.listen(port, '127.0.0.1', resolve));
    node.#port = (node.#server.address() as AddressInfo).port;
    return node;
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      const url = request.url!;
      this.asked.push(url);
      const answer = this.answers.get(url.split('?')[0]!);
      if (answer !== undefined) answer(request, response);
      else problem(404, 'GS_NOT_FOUND', `There is no ${url}.`)(request, response);
    });
  }

  /** Also after it is closed. */
  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  json(path: string, body: unknown, status = 200): this {
    this.answers.set(path, json(body, status));
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function json(body: unknown, status = 200): Answer {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(body));
  };
}

export function problem(status: number, code: string, message: string, remedy = 'Do it otherwise.'): Answer {
  return json({ error: { code, message, remedy } }, status);
}

/** Server-sent events, then the stream stays open unless `end`. */
export function events(chunks: readonly string[], { end = false } = {}): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const chunk of chunks) response.write(chunk);
    if (end) response.end();
  };
}

export function frame(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** 2026-03-02 08:41:00 in San Francisco. */
export const T0 = Date.UTC(2026, 2, 2, 16, 41);

/** @param over `surge: undefined` leaves it out */
export function row(over: { [Name in keyof Row]?: Row[Name] | undefined } = {}): Row {
  return {
    region: 'sf',
    level: 'cell',
    key: '9q8yyk',
    window: '1m',
    start: T0 - 60_000,
    end: T0,
    rev: 0,
    final: true,
    features: { open_s: 412, busy_s: 180.5, drivers: 9, open_end: 7, requests: 3, pickups: 2, cancels: 0 },
    surge: { multiplier: 1.2, raw: 1.174, model: 'surge-linear@1' },
    watermark: T0 + 5_000,
    completeness: { expected: 16, reported: 16 },
    ...over,
  } as Row;
}

export function cell(over: Partial<CellReport> = {}): CellReport {
  return {
    key: '9q8yyk',
    multiplier: 1.2,
    raw: 1.174,
    start: T0 - 60_000,
    features: { requests: 3, open_end: 7 },
    live: { open: 6 },
    spark: [1, null, 1.1, 1.2],
    ...over,
  };
}

type NodePart = NodeReport['node'];

/** A node that is alone; its region is what it says of itself, unless the test says otherwise. */
export function report(over: Partial<NodeReport> = {}, node: Partial<NodePart> = {}): NodeReport {
  const partitions = node.partitions ?? [partition(0), partition(1)];
  return {
    nodes: [member({ owned: partitions.map((owned) => owned.partition) })],
    partitions: partitions.map((status) => regionPartition(status.partition, { status })),
    alarms: [],
    version: '0.2.0',
    name: 'sf-1',
    region: 'sf',
    timezone: 'America/Los_Angeles',
    startedAtMs: T0 - 7_500_000,
    nowMs: T0,
    node: {
      state: 'running',
      serving: true,
      region: 'sf',
      partitionCount: 2,
      partitions,
      followed: [],
      members: [],
      counters: {},
      stats: { ...zeroStats(), events: 1_160_979, rows: 271_650 },
      snapshot: { pendingActors: 12, fileBytes: 40 * 1024 * 1024 },
      clockBehindMs: 0,
      ...node,
    },
    nats: { url: 'nats://127.0.0.1:41234', version: '2.15.1', embedded: true, connected: true },
    http: { subscribers: 1 },
    publisher: { published: 543_300, lagMessages: 0 },
    ...over,
  };
}

type RegionNode = NodeReport['nodes'][number];
type RegionPartition = NodeReport['partitions'][number];

/** The node that is asked, unless the test says otherwise. */
export function member(over: Partial<RegionNode> = {}): RegionNode {
  return {
    id: 'ab12cd34ef567890ab12cd34ef567890',
    name: 'sf-1',
    state: 'alive',
    self: true,
    serving: true,
    http: 'http://127.0.0.1:7380',
    version: '0.2.0',
    weight: 1,
    startedAtMs: T0 - 7_500_000,
    lastSeenMsAgo: 120,
    owned: [0, 1],
    ready: [],
    events: 1_160_979,
    ...over,
  };
}

export function regionPartition(id: number, over: Partial<RegionPartition> = {}): RegionPartition {
  return {
    partition: id,
    owner: { id: 'ab12cd34ef567890ab12cd34ef567890', name: 'sf-1' },
    standbys: [],
    journalMessages: 4_321,
    status: partition(id),
    ...over,
  };
}

export function partition(
  id: number,
  over: Partial<NodePart['partitions'][number]> = {},
): NodePart['partitions'][number] {
  return {
    partition: id,
    watermarkMs: T0 - 5_200,
    closedMs: [T0 - 60_000, T0 - 60_000, T0 - 60_000, T0 - 60_000, T0 - 60_000],
    holder: 'http:sf-1:1a2b3c4d',
    silent: [],
    quarantined: 0,
    commit: 1_234,
    committedAtMs: T0 - 300,
    epoch: 1,
    base: undefined,
    inputSeq: 10,
    journalSeq: 11,
    lagMessages: 0,
    residentActors: 1_201,
    activations: 0,
    passivations: 0,
    ...over,
  };
}
