// Hunts: a status line taken for another, so that a reader sleeps on a request that has ended, or gives up on one that
// has not; a sequence read from the wrong word of a reply subject.
import { describe, expect, it } from 'vitest';
import { deliveryOf, endOf } from '../../../../src/log/nats/pull-request.js';

describe('what a status line means', () => {
  it.each([
    [100, 'Idle Heartbeat', undefined],
    [404, 'No Messages', 'over'],
    [408, 'Request Timeout', 'over'],
    [408, 'Interest Expired', 'over'],
    [409, 'Message Size Exceeds MaxBytes', 'too-small'],
    [409, 'Batch Completed', 'over'],
    [409, 'Consumer Deleted', 'gone'],
    [409, 'Leadership Change', 'gone'],
    [409, 'Server Shutdown', 'gone'],
    [409, 'Consumer is push based', 'refused'],
    [409, 'Exceeded MaxRequestBatch of 10', 'refused'],
    [503, '', 'gone'],
    [400, 'Bad Request - heartbeat value too large', 'refused'],
    [412, 'Required Api Level', 'refused'],
  ])('%i %s: %s', (code, description, end) => {
    expect(endOf(code, description)?.end).toBe(end);
  });
});

describe('where a message lies', () => {
  it.each([
    ['$JS.ACK.GS_sf.c.1.17.4.1700000000000000000.9', 17, 4, 9],
    ['$JS.ACK._.hash.GS_sf.c.1.17.4.1700000000000000000.9', 17, 4, 9],
    ['$JS.ACK.hub.hash.GS_sf.c.1.17.4.1700000000000000000.9.random', 17, 4, 9],
  ])('%s', (reply, streamSeq, consumerSeq, pending) => {
    expect(deliveryOf(reply)).toEqual({
      streamSeq,
      consumerSeq,
      storedAtMs: 1_700_000_000_000,
      pending,
    });
  });

  it.each([[undefined], ['_INBOX.x'], ['$JS.ACK.short'], ['$JS.FC.GS_sf.c.x']])(
    '%s is no message',
    (reply) => {
      expect(deliveryOf(reply)).toBeUndefined();
    },
  );
});
