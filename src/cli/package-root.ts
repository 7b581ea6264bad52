/** Where the package lies: its configuration folders are found from here, in a checkout as in an installed package. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  for (
    let folder = dirname(fileURLToPath(import.meta.url));
    folder !== dirname(folder);
    folder = dirname(folder)
  ) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'config'))) return folder;
  }
  return process.cwd();
}

export const PACKAGE_ROOT = findRoot();
export const CONFIG_FOLDER = join(PACKAGE_ROOT, 'config');

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}
