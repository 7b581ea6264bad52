/** The built command line, wherever this is compiled to or run from. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: above `bench`, or, compiled, above `dist`. */
export const ROOT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../..' : '../../..', import.meta.url),
);

/** Path of `groundswell`. */
export const MAIN = join(ROOT, 'dist/cli/main.js');

/** Nothing of the environment points a process at somebody else's server. */
export const ENV: NodeJS.ProcessEnv = { ...process.env, NATS_URL: '', NO_COLOR: '1' };
