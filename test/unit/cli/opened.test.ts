/** Hunts things that stay open because something else could not be opened. */
import { describe, expect, it } from 'vitest';
import { bothEnded, Opened, openTogether } from '../../../src/cli/opened.js';

class Thing {
  closes = 0;

  close(): Promise<void> {
    this.closes++;
    return Promise.resolve();
  }
}

describe('Opened', () => {
  it('says what it waits for while it closes, of parts within parts too, and nothing before and after', async () => {
    const [outer, inner] = [new Opened(), new Opened()];
    const seen: (string | undefined)[] = [];
    const note = (): Promise<void> => {
      seen.push(outer.closing);
      return Promise.resolve();
    };
    inner.add('the server', note);
    inner.add('the last commits', () => note().then(() => Promise.reject(new Error('away'))));
    outer.add('metrics', note);
    outer.add(
      () => inner.closing,
      () => inner.close(),
    );
    outer.add('requests', note);
    expect(outer.closing).toBeUndefined();
    await expect(outer.close()).rejects.toThrow('away');
    expect(seen).toEqual(['requests', 'the last commits', 'the server', 'metrics']);
    expect(outer.closing).toBeUndefined();
  });
});

describe('bothEnded', () => {
  it('gives both', async () => {
    expect(await bothEnded(Promise.resolve(1), Promise.resolve('two'))).toEqual([1, 'two']);
  });

  it.each([0, 1])('fails with the one that failed, when the other has ended too', async (failing) => {
    let ended = false;
    const other = new Promise<void>((resolve) => {
      setImmediate(() => {
        ended = true;
        resolve();
      });
    });
    const failed = Promise.reject<void>(new Error('no room'));
    const both = failing === 0 ? bothEnded(failed, other) : bothEnded(other, failed);
    await expect(both).rejects.toThrow('no room');
    expect(ended).toBe(true);
  });

  it('of two failures tells the first one’s', async () => {
    const [first, second] = [
      Promise.reject<void>(new Error('the first')),
      Promise.reject<void>(new Error('no')),
    ];
    await expect(bothEnded(first, second)).rejects.toThrow('the first');
  });
});

describe('openTogether', () => {
  it('gives both, open', async () => {
    const [one, other] = [new Thing(), new Thing()];
    expect(await openTogether(Promise.resolve(one), Promise.resolve(other))).toEqual([one, other]);
    expect([one.closes, other.closes]).toEqual([0, 0]);
  });

  it('closes the one when the other could not be opened, once that is known', async () => {
    const one = new Thing();
    const failure = new Error('no room');
    await expect(openTogether(Promise.resolve(one), Promise.reject(failure))).rejects.toBe(failure);
    await expect(openTogether(Promise.reject(failure), Promise.resolve(one))).rejects.toBe(failure);
    expect(one.closes).toBe(2);
  });

  it('tells the failure of the first when both fail, whichever came sooner', async () => {
    const late = new Promise<Thing>((_, reject) => {
      setImmediate(() => {
        reject(new Error('the first'));
      });
    });
    await expect(openTogether(late, Promise.reject(new Error('the second')))).rejects.toThrow('the first');
  });

  it('closes what there is when nothing of the other kind was wanted', async () => {
    await expect(openTogether(Promise.reject(new Error('gone')), Promise.resolve(undefined))).rejects.toThrow(
      'gone',
    );
  });
});
