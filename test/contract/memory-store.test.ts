import { MemoryStore } from '../../src/state/memory/memory-store.js';
import { storeContract } from './store.contract.js';

storeContract('MemoryStore', () => {
  const store = new MemoryStore();
  return Promise.resolve({ store, dispose: () => store.close() });
});
