/** Answers what the region's other nodes and operators ask of this one. A few questions at a time (P8); more are refused. */
import { GroundswellError } from '../../core/errors.js';
import { actorId, type ActorId } from '../../core/ids.js';
import type { Requests } from '../../log/requests.js';
import type { Subjects } from '../../log/subjects.js';
import type { ActorView, NodeStatus, QuarantinedActors } from '../../node/status.js';
import { decodeAsk, encodeAnswer, encodeRefusal, type Question } from './peer-protocol.js';

/** What of a node others may ask for; a `Node` is one. */
export interface AskedNode {
  readonly serving: boolean;
  status(): NodeStatus;
  owns(id: ActorId): boolean;
  inspect(id: ActorId): Promise<ActorView | undefined>;
  quarantined(): QuarantinedActors;
  drain(on: boolean): void;
}

/** A node's status with what belongs to it and is not of its core. */
export interface PeerStatus extends NodeStatus {
  readonly publisher?: PublisherStatus;
}

export interface PublisherStatus {
  readonly published: number;
  readonly lagMessages: number;
}

export interface PeerServerOptions {
  readonly requests: Requests;
  readonly subjects: Subjects;
  /** Of this node, as in its record. */
  readonly id: string;
  readonly name: string;
  readonly node: AskedNode;
  publisher?(): PublisherStatus;
}

const UNDER_WAY_MAX = 64;
const KEY_CHARS_MAX = 256;

/** Answers until it is closed. */
export async function answerPeers(options: PeerServerOptions): Promise<{ close(): Promise<void> }> {
  const { requests, subjects, id, name } = options;
  let underWay = 0;
  return requests.listen(subjects.node(id, '*'), async (subject, payload) => {
    underWay++;
    try {
      if (underWay > UNDER_WAY_MAX)
        throw new GroundswellError('GS_BUSY', `Node ${name} is asked too much at once.`);
      const answer = encodeAnswer(await answerTo(subject.split('.').at(-1)!, decodeAsk(payload), options));
      if (answer.byteLength > requests.payloadBytesMax)
        throw new GroundswellError(
          'GS_FRAME_TOO_LARGE',
          `What node ${name} would answer has ${answer.byteLength} bytes, and a message takes ${requests.payloadBytesMax}.`,
          { remedy: `Ask node ${name} itself, over HTTP.` },
        );
      return answer;
    } catch (error) {
      return encodeRefusal(error);
    } finally {
      underWay--;
    }
  });
}

async function answerTo(question: string, asked: unknown, options: PeerServerOptions): Promise<unknown> {
  const { node } = options;
  switch (question as Question) {
    case 'status': {
      const publisher = options.publisher?.();
      return { ...node.status(), publisher } satisfies { publisher: PublisherStatus | undefined };
    }
    case 'inspect':
      return { view: await inspected(asked, options) };
    case 'quarantined':
      return node.quarantined();
    case 'drain': {
      const { on } = (asked ?? {}) as { on?: unknown };
      if (typeof on !== 'boolean')
        throw new GroundswellError('GS_USAGE', 'Whether to drain is asked with {"on":true} or {"on":false}.');
      node.drain(on);
      return { draining: on };
    }
    default:
      throw new GroundswellError('GS_USAGE', `Nothing is known of the question "${question.slice(0, 40)}".`);
  }
}

async function inspected(asked: unknown, options: PeerServerOptions): Promise<ActorView | undefined> {
  const { type, key } = (asked ?? {}) as { type?: unknown; key?: unknown };
  if (typeof type !== 'string' || typeof key !== 'string' || key.length > KEY_CHARS_MAX)
    throw new GroundswellError('GS_USAGE', 'An actor is asked for with {"type":"cell","key":"9q8yyk"}.');
  return inspectHere(actorId(type, key), options.name, options.node);
}

/** One actor of a node that owns its partition now, and knows that it does. @throws GroundswellError GS_BUSY when not */
export async function inspectHere(
  id: ActorId,
  name: string,
  node: Pick<AskedNode, 'serving' | 'owns' | 'inspect'>,
): Promise<ActorView | undefined> {
  if (!node.serving)
    throw new GroundswellError('GS_BUSY', `Node ${name} does not serve now: its lease is not fresh.`);
  if (!node.owns(id)) throw new GroundswellError('GS_BUSY', `Node ${name} does not own ${id} any more.`);
  return node.inspect(id);
}
