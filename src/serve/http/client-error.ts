/** Answers to what no route ever sees, such as bytes that are no HTTP request: they are written by hand. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ERRORS } from '../../core/errors.js';

const STATUS: Readonly<Record<string, readonly [status: number, phrase: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers of the request are too large.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'The chunk extensions are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not come in time.'],
};

/** Gives the status that was answered; undefined when nobody is there to hear it. */
export function answerToGarbage(error: Error & { code?: string }, socket: Socket): number | undefined {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  // An answer to an earlier request is being written: nothing may be put into the middle of it.
  const { _httpMessage: answering } = socket as { _httpMessage?: { headersSent: boolean } | null };
  if (answering?.headersSent === true) {
    socket.destroy();
    return undefined;
  }
  const [status, phrase, message] = STATUS[error.code ?? ''] ?? [
    400,
    'Bad Request',
    'These bytes are no HTTP request.',
  ];
  const remedy = 'Send HTTP/1.1, with a client that does.';
  const body = JSON.stringify({ error: { code: 'GS_USAGE' satisfies keyof typeof ERRORS, message, remedy } });
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'connection: close',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
  return status;
}

/** 417 to an `expect` other than `100-continue`, which node would answer without a word. */
export function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const message = 'The header expect asks for what is not done here.';
  const error = { code: 'GS_USAGE' satisfies keyof typeof ERRORS, message, remedy: 'Leave it out.' };
  response
    .writeHead(417, { 'content-type': 'application/json; charset=utf-8', connection: 'close' })
    .end(JSON.stringify({ error }));
}
