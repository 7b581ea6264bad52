/** Asks the region's other nodes. Owns how long is waited, and what a silence is called. */
import { GroundswellError } from '../../core/errors.js';
import { actorKey, actorType, type ActorId } from '../../core/ids.js';
import type { Requests } from '../../log/requests.js';
import type { Subjects } from '../../log/subjects.js';
import type { ActorView, QuarantinedActors } from '../../node/status.js';
import type { PeerStatus } from './peer-server.js';
import { decodeAnswer, encodeAsk, type Question } from './peer-protocol.js';

/** A node, as its record names it. */
export interface PeerName {
  readonly id: string;
  readonly name: string;
}

export interface PeersOptions {
  readonly requests: Requests;
  readonly subjects: Subjects;
  /** A node that does not answer within is silent. */
  readonly timeoutMs?: number;
}

/** Less than people wait, more than a commit takes on a slow disk: an actor is shown as committed. */
const TIMEOUT_MS = 3_000;
/** What a status needs is at hand. */
const STATUS_MS = 1_000;

export class Peers {
  readonly #options: PeersOptions;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  async status(peer: PeerName): Promise<PeerStatus> {
    const { timeoutMs = STATUS_MS } = this.#options;
    return (await this.#ask(peer, 'status', undefined, timeoutMs)) as PeerStatus;
  }

  /** Undefined: no such actor has state. */
  async inspect(peer: PeerName, id: ActorId): Promise<ActorView | undefined> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const asked = { type: actorType(id), key: actorKey(id) };
    const answer = (await this.#ask(peer, 'inspect', asked, timeoutMs)) as { view?: ActorView };
    return answer.view;
  }

  async quarantined(peer: PeerName): Promise<QuarantinedActors> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    return (await this.#ask(peer, 'quarantined', undefined, timeoutMs)) as QuarantinedActors;
  }

  async drain(peer: PeerName, on: boolean): Promise<void> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    await this.#ask(peer, 'drain', { on }, timeoutMs);
  }

  /** @throws GroundswellError GS_BUSY when there is no answer, or the one that it is answered with */
  async #ask(peer: PeerName, question: Question, asked: unknown, timeoutMs: number): Promise<unknown> {
    const { requests, subjects } = this.#options;
    const outcome = await requests.ask(subjects.node(peer.id, question), encodeAsk(asked), timeoutMs);
    switch (outcome.outcome) {
      case 'answered':
        return decodeAnswer(outcome.payload);
      case 'nobody':
        throw new GroundswellError('GS_BUSY', `Node ${peer.name} is not there: nobody answers for it.`, {
          remedy: 'Try again in a moment: when it is gone, others take what it owned.',
        });
      case 'silent':
        throw new GroundswellError(
          'GS_BUSY',
          `Node ${peer.name} did not answer within ${timeoutMs / 1_000} s: ${outcome.cause}.`,
          { remedy: 'Try again in a moment: it may hang, and then others take what it owned.' },
        );
    }
  }
}
