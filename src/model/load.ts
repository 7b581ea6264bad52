/** Reads a linear model's JSON file. */
import { readFile } from 'node:fs/promises';
import { parseConfig } from '../core/config-file.js';
import { GroundswellError, messageOf } from '../core/errors.js';
import { linearModelSchema, type LinearModel } from './linear.js';

/** @throws GroundswellError GS_MODEL naming the file and the key */
export async function loadLinearModel(file: string): Promise<LinearModel> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new GroundswellError('GS_MODEL', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseConfig(linearModelSchema, value, file, 'GS_MODEL');
}
