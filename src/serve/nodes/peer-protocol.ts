/**
 * What nodes ask each other, and how it is written: JSON on `gs.<region>.node.<id>.<question>`, answered with a value or
 * with an error of the catalogue. Owns the encoding; `peer-server.ts` answers, `peers.ts` asks.
 */
import { type ErrorCode, ERRORS, GroundswellError, knownErrorOf, messageOf } from '../../core/errors.js';
import { plainJson } from '../../core/plain-json.js';

/** Its status; one of its actors; those in quarantine; to hand all that it owns to others, or to take again. */
export type Question = 'status' | 'inspect' | 'quarantined' | 'drain';

interface StoredError {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeAsk(asked: unknown): Uint8Array {
  return encoder.encode(plainJson(asked ?? null));
}

/** @throws GroundswellError GS_USAGE when it is no JSON */
export function decodeAsk(payload: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(payload)) as unknown;
  } catch (error) {
    throw new GroundswellError('GS_USAGE', `What was asked is no JSON: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

export function encodeAnswer(value: unknown): Uint8Array {
  return encoder.encode(plainJson({ value: value ?? null }));
}

export function encodeRefusal(thrown: unknown): Uint8Array {
  const { code, message, remedy } = knownErrorOf(thrown);
  return encoder.encode(JSON.stringify({ error: { code, message, remedy } }));
}

/** The value of an answer; undefined for none. @throws GroundswellError the one that it was answered with */
export function decodeAnswer(payload: Uint8Array): unknown {
  const { value, error } = JSON.parse(decoder.decode(payload)) as { value?: unknown; error?: StoredError };
  if (error !== undefined) {
    // A newer node may know errors that this one does not.
    const code: ErrorCode = error.code in ERRORS ? (error.code as ErrorCode) : 'GS_BUSY';
    throw new GroundswellError(
      code,
      error.message,
      error.remedy === undefined ? {} : { remedy: error.remedy },
    );
  }
  return value ?? undefined;
}
