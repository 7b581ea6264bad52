import { systemClock } from '../../src/core/clock.js';
import { MemoryRequests } from '../../src/log/memory/memory-requests.js';
import { requestsContract } from './requests.contract.js';

requestsContract('MemoryRequests', () => {
  const asker = new MemoryRequests(systemClock);
  return Promise.resolve({ asker, listener: new MemoryRequests(systemClock, asker), prefix: 'x' });
});
