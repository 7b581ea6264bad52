/** The sender of a peer in a process of its own, as Groundswell's producer has one: takes one order, and ends. */
import { send, type Sending } from './senders.js';

process.once('message', (sending: Sending) => {
  send(sending).then(
    () => process.disconnect(),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
