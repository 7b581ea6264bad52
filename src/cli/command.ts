/** What all commands share: how an option is parsed, how an error ends the process. */
import { InvalidArgumentError } from 'commander';
import { systemClock } from '../core/clock.js';
import { parseDurationMs } from '../core/duration.js';
import { GroundswellError, knownErrorOf } from '../core/errors.js';
import type { NatsTarget } from '../log/nats/connect.js';
import { natsServersFault, splitServers } from './server-urls.js';
import { errorColors } from './screen.js';

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`It takes a whole number from ${min} to ${max}.`);
    return value;
  };
}

export function duration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0)
    throw new InvalidArgumentError('It takes a duration such as 90s, 10m or 2h.');
  return ms;
}

/** A moment, ms UTC: as ISO 8601 has it, or how long ago it was. */
export function moment(text: string): number {
  const agoMs = parseDurationMs(text);
  const atMs = agoMs === undefined ? Date.parse(text) : systemClock.now() - agoMs;
  if (!Number.isSafeInteger(Math.floor(atMs)) || atMs <= 0)
    throw new InvalidArgumentError('It takes a time such as 2026-03-02T16:00:00Z, or how long ago: 2h.');
  return Math.floor(atMs);
}

/** `max`, `10x`, `1x`: how many times as fast as the wall clock. */
export function speed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const match = /^(\d+(?:\.\d+)?)x$/.exec(text);
  if (!match || Number(match[1]) <= 0)
    throw new InvalidArgumentError('It takes max, or a factor such as 10x or 1x.');
  return Number(match[1]);
}

/** Servers elsewhere, one or several: --nats, or NATS_URL. A user and a password may stand in the URLs. */
export function natsTarget(url: string | undefined): NatsTarget | undefined {
  const text = url ?? process.env['NATS_URL'];
  if (text === undefined || text === '') return undefined;
  const fault = natsServersFault(text);
  if (fault !== undefined)
    throw new GroundswellError(
      'GS_USAGE',
      `What ${url === undefined ? 'NATS_URL' : '--nats'} names ${fault}.`,
    );
  const { servers, access } = splitServers(text);
  return { url: servers.join(','), ...access };
}

/** Says what went wrong and what to do, in one message; the stack only when asked for. Gives the exit code. */
export function report(error: unknown, verbose: boolean): number {
  const known = knownErrorOf(error);
  process.stderr.write(
    `${errorColors.red('error')} ${known.message}\n      ${known.remedy} ${errorColors.dim(`(${known.code})`)}\n`,
  );
  if (verbose) {
    for (let cause: unknown = known; cause instanceof Error; cause = cause.cause)
      process.stderr.write(`${cause.stack ?? cause.message}\n`);
  }
  return known.exitCode;
}
