/** A program in a thread of its own: the file beside its caller, compiled as that is, or as it is written. */
import { Worker } from 'node:worker_threads';

/**
 * @param caller `import.meta.url` of whoever starts it
 * @param name the program's file, without the ending
 */
export function siblingOf(
  caller: string,
  name: string,
): { readonly program: URL; readonly asWritten: boolean } {
  const asWritten = caller.endsWith('.ts');
  return { program: new URL(`${name}${asWritten ? '.ts' : '.js'}`, caller), asWritten };
}

/** @param data what the program finds as its `workerData` */
export function siblingThread(caller: string, name: string, data: unknown): Worker {
  const { program, asWritten } = siblingOf(caller, name);
  if (!asWritten) return new Worker(program, { workerData: data });
  const load = `import('tsx/esm/api').then(({ register }) => register() && import(${JSON.stringify(program.href)}))`;
  return new Worker(load, { workerData: data, eval: true });
}
