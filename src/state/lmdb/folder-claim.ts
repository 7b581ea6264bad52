/** What a folder of snapshots was made for: written at its first use, compared at every other. */
import type { RootDatabase } from 'lmdb';
import { crc32 } from '../../core/crc32.js';
import { GroundswellError } from '../../core/errors.js';
import { STORE_FORMAT, type StoreIdentity } from '../store.js';

interface Claim extends StoreIdentity {
  readonly format: number;
  /** Checksum of the rest; none before format 2. */
  readonly check?: number;
}

/**
 * @returns whether nothing in the folder counts: it is new, or of an older format, and is filled from the journal
 * @throws GroundswellError GS_DATA_CORRUPT, GS_DATA_FOREIGN, GS_DATA_NEWER
 */
export async function claimFolder(
  root: RootDatabase,
  folder: string,
  identity: StoreIdentity,
): Promise<boolean> {
  const meta = root.openDB<unknown, string>({ name: 'meta', encoding: 'msgpack' });
  const made = readClaim(() => meta.get('identity'), folder);
  if (made !== undefined) {
    if (made.format > STORE_FORMAT) {
      throw new GroundswellError(
        'GS_DATA_NEWER',
        `The data folder ${folder} has format ${made.format}; this version reads ${STORE_FORMAT}.`,
      );
    }
    if (made.region !== identity.region || made.partitions !== identity.partitions) {
      throw new GroundswellError(
        'GS_DATA_FOREIGN',
        `The data folder ${folder} belongs to region ${made.region} with ${made.partitions} partitions, not to ${identity.region} with ${identity.partitions}.`,
      );
    }
    if (made.format === STORE_FORMAT) return false;
  }
  const claim: Claim = { region: identity.region, partitions: identity.partitions, format: STORE_FORMAT };
  await meta.put('identity', { ...claim, check: checkOf(claim) });
  return true;
}

function readClaim(read: () => unknown, folder: string): Claim | undefined {
  let claim: Claim | undefined;
  let cause: unknown;
  try {
    claim = read() as Claim | undefined;
    if (claim === undefined) return undefined;
    if (typeof claim.format === 'number' && (claim.check === undefined || claim.check === checkOf(claim)))
      return claim;
  } catch (error) {
    cause = error;
  }
  throw new GroundswellError(
    'GS_DATA_CORRUPT',
    `The snapshots in ${folder} do not say what they were made for.`,
    {
      cause,
    },
  );
}

function checkOf({ region, partitions, format }: Claim): number {
  return crc32(Buffer.from(JSON.stringify([region, partitions, format])));
}
