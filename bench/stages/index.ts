/** The stages, in the order in which an event meets them. One question per file. */
import type { Stage } from '../stage.js';
import { check } from './check.js';
import { commit } from './commit.js';
import { decode } from './decode.js';
import { geohash } from './geohash.js';
import { handler } from './handler.js';
import { lmdb } from './lmdb.js';
import { outputEncode } from './output-encode.js';
import { outputRead } from './output-read.js';
import { pack } from './pack.js';
import { publish } from './publish.js';
import { route } from './route.js';
import { score } from './score.js';
import { workload } from './workload.js';

export const STAGES: readonly Stage[] = [
  workload,
  check,
  geohash,
  route,
  pack,
  decode,
  handler,
  score,
  commit,
  outputEncode,
  outputRead,
  lmdb,
  publish,
];
