/** Where the load is: the regions' files, and the place of the probe in sf. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const near = fileURLToPath(new URL('../../config/regions', import.meta.url));
const above = fileURLToPath(new URL('../../../config/regions', import.meta.url));
/** Beside the sources, or above `dist`. */
export const REGIONS_FOLDER = existsSync(near) ? near : above;

/** In the ocean off San Francisco's coast, and covered. */
export const PROBE = { cell: '9q8v00', lat: 37.444, lon: -122.69 } as const;
