/** The page: files of the package, read once at start and served as they are. It needs nothing from elsewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** Beside this folder in a checkout; in the built package, where the sources would be: they are no TypeScript. */
function pageFolder(): string {
  const here = import.meta.dirname;
  const places = [join(here, '../page'), join(here, '../../../../src/serve/page')];
  const found = places.find((place) => existsSync(join(place, 'index.html')));
  if (found === undefined)
    throw new GroundswellError(
      'GS_INTERNAL',
      `The page is missing from the package: not in ${places.join(', ')}.`,
    );
  return found;
}
