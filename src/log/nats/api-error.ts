/** What an error of the JetStream API means for whoever asked: whether asking again can help. */
import { JetStreamApiError } from '@nats-io/jetstream';
import { PermissionViolationError } from 'nats';

const MESSAGE_NOT_FOUND = 10037;
const STREAM_NOT_FOUND = 10059;

export type ApiFailure =
  | 'no-message'
  | 'no-stream'
  /** The user may not do this. */
  | 'denied'
  /** The server will never do this. */
  | 'rejected'
  /** No answer, no leader, no resources: it may be better later. */
  | 'passing';

export function apiFailureOf(error: unknown): ApiFailure {
  if (isDenied(error)) return 'denied';
  if (!(error instanceof JetStreamApiError)) return 'passing';
  if (error.code === MESSAGE_NOT_FOUND) return 'no-message';
  if (error.code === STREAM_NOT_FOUND) return 'no-stream';
  return error.status === 400 ? 'rejected' : 'passing';
}

function isDenied(error: unknown): boolean {
  if (error instanceof PermissionViolationError) return true;
  return error instanceof Error && error.cause !== undefined && isDenied(error.cause);
}
