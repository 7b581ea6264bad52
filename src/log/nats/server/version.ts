/** The version of a nats-server program: how it is read, compared, and the oldest one whose batches are atomic. */
import { runCommand } from './command.js';

/** Older servers drop `allow_atomic` silently and store a batch piecemeal. */
export const OLDEST_VERSION = '2.14.5';

export type ProgramVersion =
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'unusable'; readonly why: string };

const VERSION = /\bv?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)/;
const VERSION_TIMEOUT_MS = 10_000;

/** The version in the output of `nats-server --version`, without the leading `v`. */
export function parseVersion(output: string): string | undefined {
  return VERSION.exec(output)?.[1];
}

/** Negative when a is older than b, positive when newer, by semantic versioning's order. */
export function compareVersions(a: string, b: string): number {
  const [releaseA, preA] = split(a);
  const [releaseB, preB] = split(b);
  return compareParts(releaseA, releaseB) || comparePreReleases(preA, preB);
}

/** True for a version that groundswell can rely on. */
export function isNewEnough(version: string): boolean {
  return compareVersions(version, OLDEST_VERSION) >= 0;
}

/** Asks the program itself; a file name proves nothing. */
export async function readVersion(program: string): Promise<ProgramVersion> {
  const result = await runCommand(program, ['--version'], { timeoutMs: VERSION_TIMEOUT_MS });
  if (result.kind === 'failed') return { kind: 'unusable', why: `${program} does not run: ${result.why}` };
  const version = parseVersion(result.output);
  if (version === undefined || !result.output.includes('nats-server'))
    return { kind: 'unusable', why: `${program} is not a nats-server` };
  return { kind: 'version', version };
}

function split(version: string): [release: string[], preRelease: string[]] {
  const dash = version.indexOf('-');
  if (dash < 0) return [version.split('.'), []];
  return [version.slice(0, dash).split('.'), version.slice(dash + 1).split('.')];
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  // A version without a pre-release part is the release itself, and newer than all that led to it.
  if (a.length === 0 || b.length === 0) return Number(a.length === 0) - Number(b.length === 0);
  return compareParts(a, b);
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const partA = a[i];
    const partB = b[i];
    if (partA === undefined) return -1;
    if (partB === undefined) return 1;
    const numericA = /^\d+$/.test(partA);
    const numericB = /^\d+$/.test(partB);
    if (numericA && numericB) {
      if (Number(partA) !== Number(partB)) return Number(partA) - Number(partB);
    } else if (numericA !== numericB) {
      return numericA ? -1 : 1;
    } else if (partA !== partB) {
      return partA < partB ? -1 : 1;
    }
  }
  return 0;
}
