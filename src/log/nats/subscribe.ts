/**
 * Plain subscriptions: what an analyst may do. They need no JetStream, make nothing on the server and leave nothing
 * there; what is published while the connection is down is not seen.
 */
import type { NatsConnection } from 'nats';
import { GroundswellError, messageOf } from '../../core/errors.js';
import { openConnection, type NatsTarget } from './connect.js';

export interface SubscribeOptions {
  /** Of the connection, for the server's operators. */
  readonly name: string;
  /** Called for each message as it comes: to be quick, or to hold on to it within a bound. */
  readonly onMessage: (payload: string, subject: string) => void;
  /** The connection is lost, or there again. */
  readonly onState: (line: string) => void;
  /** Nothing will come any more. */
  readonly onFailure: (error: GroundswellError) => void;
}

/**
 * Subscribes to subjects, and goes on when the server was away.
 * @throws GroundswellError GS_NATS_CONNECT, GS_NATS_AUTH
 */
export async function subscribe(
  target: NatsTarget,
  subjects: readonly string[],
  options: SubscribeOptions,
): Promise<{ close(): Promise<void> }> {
  const connection = await openConnection(target, options.name);
  let closed = false;
  for (const subject of subjects) {
    connection.subscribe(subject, {
      callback: (error, message) => {
        if (closed) return;
        if (error === null) options.onMessage(message.string(), message.subject);
        else {
          const text = `nats-server does not let this user subscribe to ${subject}: ${messageOf(error)}.`;
          options.onFailure(new GroundswellError('GS_NATS_AUTH', text, { cause: error }));
        }
      },
    });
  }
  tellStates(connection, options.onState).catch(() => undefined);
  connection
    .closed()
    .then((error) => {
      if (closed) return;
      const why = error === undefined ? '' : `: ${messageOf(error)}`;
      const text = `The connection to nats-server is closed${why}.`;
      options.onFailure(new GroundswellError('GS_NATS_CONNECT', text, { cause: error }));
    })
    .catch(() => undefined);
  return {
    close: async () => {
      closed = true;
      await connection.close();
    },
  };
}

async function tellStates(connection: NatsConnection, tell: (line: string) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') tell('The connection to nats-server is lost. Trying again.');
    if (status.type === 'reconnect') tell('Connected again; what came meanwhile is not shown.');
  }
}
