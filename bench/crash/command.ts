/** The built command line, wherever this is compiled to or run from. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const beside = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

/** Path of `groundswell`: `dist/cli/main.js`. */
export const MAIN = existsSync(beside)
  ? beside
  : fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** The checkout: above `dist`, or above `bench`. */
export const ROOT = fileURLToPath(new URL(existsSync(beside) ? '../../..' : '../..', import.meta.url));

/** Nothing of the environment points a process at somebody else's server. */
export const ENV: NodeJS.ProcessEnv = { ...process.env, NATS_URL: '', NO_COLOR: '1' };
