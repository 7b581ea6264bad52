import { MemoryLog } from '../../src/log/memory/memory-log.js';
import { Subjects } from '../../src/log/subjects.js';
import { logContract } from './log.contract.js';

logContract('MemoryLog', () =>
  Promise.resolve({ log: new MemoryLog({ payloadBytesMax: 4_096 }), subjects: new Subjects('x') }),
);
