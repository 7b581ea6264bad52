// Hunts: a question that is heard by the wrong one or by nobody and waits for ever, an answer that reaches another asker, a
// listener that answers after it was closed, and a port in memory that is more forgiving than the real one.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Requests } from '../../src/log/requests.js';

export interface RequestsUnderTest {
  readonly asker: Requests;
  /** Hears what the asker asks. */
  readonly listener: Requests;
  /** Begins subjects that nobody else uses. */
  readonly prefix: string;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);
const LONG_MS = 5_000;

export function requestsContract(name: string, open: () => Promise<RequestsUnderTest>): void {
  describe(name, () => {
    let under: RequestsUnderTest;
    beforeEach(async () => {
      under = await open();
    });

    it('brings a question to who listens on its subject, and the answer back', async () => {
      const { asker, listener, prefix } = under;
      const listening = await listener.listen(`${prefix}.a.*`, (subject, payload) =>
        Promise.resolve(bytes(`${subject.slice(prefix.length)} ${text(payload)}`)),
      );
      const other = await listener.listen(`${prefix}.b.*`, () => Promise.resolve(bytes('wrong')));
      const asked = await asker.ask(`${prefix}.a.status`, bytes('?'), LONG_MS);
      expect(asked.outcome === 'answered' ? text(asked.payload) : asked).toBe('.a.status ?');
      await listening.close();
      await other.close();
    });

    it('keeps the answers of many questions apart', async () => {
      const { asker, listener, prefix } = under;
      const waiting: (() => void)[] = [];
      const listening = await listener.listen(`${prefix}.echo`, async (_, payload) => {
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          // The last one comes first.
          if (waiting.length === 20) for (const go of waiting.toReversed()) go();
        });
        return payload;
      });
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => asker.ask(`${prefix}.echo`, bytes(`q${i}`), LONG_MS)),
      );
      expect(answers.map((one) => (one.outcome === 'answered' ? text(one.payload) : one.outcome))).toEqual(
        Array.from({ length: 20 }, (_, i) => `q${i}`),
      );
      await listening.close();
    });

    it('says at once that nobody listens, before and after somebody did', async () => {
      const { asker, listener, prefix } = under;
      const ask = (): Promise<string> =>
        asker.ask(`${prefix}.x`, bytes(''), LONG_MS).then(({ outcome }) => outcome);
      expect(await ask()).toBe('nobody');
      const listening = await listener.listen(`${prefix}.x`, () => Promise.resolve(bytes('')));
      expect(await ask()).toBe('answered');
      await listening.close();
      expect(await ask()).toBe('nobody');
    });

    it('waits no longer than it is told for one who does not answer, or fails to', async () => {
      const { asker, listener, prefix } = under;
      const mute = await listener.listen(`${prefix}.mute`, () => new Promise(() => undefined));
      const failing = await listener.listen(`${prefix}.failing`, () => Promise.reject(new Error('no')));
      const startedMs = performance.now();
      for (const one of ['mute', 'failing'])
        expect(await asker.ask(`${prefix}.${one}`, bytes(''), 100)).toMatchObject({ outcome: 'silent' });
      expect(performance.now() - startedMs).toBeLessThan(LONG_MS);
      await mute.close();
      await failing.close();
    });
  });
}
