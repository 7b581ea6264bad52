import { MemoryObjects } from '../../src/log/memory/memory-objects.js';
import { VirtualClock } from '../../src/core/clock.js';
import { objectsContract } from './objects.contract.js';

objectsContract('MemoryObjects', () => {
  const objects = new MemoryObjects(new VirtualClock(1_700_000_000_000));
  return Promise.resolve({
    objects,
    damage: (name) => {
      objects.damage(name, 150_000);
      return Promise.resolve();
    },
  });
});
