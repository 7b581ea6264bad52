/** The page: files of the package, read once at start and served as they are. It needs nothing from elsewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GroundswellError } from '../../core/errors.js';
import type { RoutePlugin } from './facts.js';

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
] as const;

export const pageRoutes: RoutePlugin = (app) => {
  const folder = pageFolder();
  for (const [path, file, type] of FILES) {
    const content = readFileSync(join(folder, file));
    app.get(path, (_request, reply) => reply.type(type).send(content));
  }
};

/** Where it is written, in the checkout or the package that this file is in, or was built into: it is no TypeScript. */
function pageFolder(): string {
  const here = import.meta.dirname;
  for (let above = here; above !== dirname(above); above = dirname(above)) {
    const folder = join(above, 'src/serve/page');
    if (existsSync(join(folder, 'index.html'))) return folder;
  }
  throw new GroundswellError(
    'GS_INTERNAL',
    `The page is missing from the package: no src/serve/page above ${here}.`,
  );
}
