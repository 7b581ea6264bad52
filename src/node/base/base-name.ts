/**
 * Names of base snapshots in the object store: `<ppp>/<journalSeq>-<epoch>-<instance>`. A name says all that is needed to put
 * those of a partition in order, and no two makers ever give the same one to different things.
 */
import { partitionToken } from '../../core/ids.js';

export interface BaseName {
  readonly name: string;
  readonly partition: number;
  readonly journalSeq: number;
  readonly epoch: number;
}

export function baseName(base: {
  readonly partition: number;
  readonly journalSeq: number;
  readonly epoch: number;
  readonly instance: string;
}): string {
  const instance = base.instance.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 8);
  return `${partitionToken(base.partition)}/${base.journalSeq}-${base.epoch}-${instance}`;
}

/** Undefined for an object that is no base snapshot. */
export function parseBaseName(name: string): BaseName | undefined {
  const match = /^(\d{3})\/(\d+)-(\d+)-\w*$/.exec(name);
  if (match === null) return undefined;
  const [, partition, journalSeq, epoch] = match;
  return { name, partition: Number(partition), journalSeq: Number(journalSeq), epoch: Number(epoch) };
}
