/** The machine's shared memory, where there is one: what is kept in memory as files cannot be tested elsewhere. */
import { existsSync, statfsSync } from 'node:fs';

export const SHARED_MEMORY = '/dev/shm';

/** Whether a folder is of a file system in memory. */
export function isInMemory(dir: string): boolean {
  const TMPFS = 0x01021994;
  return existsSync(dir) && statfsSync(dir).type === TMPFS;
}
