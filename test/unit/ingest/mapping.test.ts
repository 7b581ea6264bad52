import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultMapping, loadMapping, type Mapping, parseMapping } from '../../../src/ingest/mapping.js';
import { compileMapping } from '../../../src/ingest/row-mapping.js';

const SOURCES = join(import.meta.dirname, '../../../config/sources');
const csv = (fields: object, event: unknown = 'driver.location'): object => ({
  format: 'csv',
  event,
  fields,
});

/** Maps one row, given as column → cell. */
function mapRow(mapping: Mapping | object, row: Record<string, unknown>, rowNumber = 1): unknown {
  const columns = Object.keys(row);
  const map = compileMapping<Record<string, unknown>>(
    'name' in mapping ? mapping : parseMapping(mapping, 'm.yaml'),
    {
      where: 'f.csv',
      columns,
      column: (name) => (columns.includes(name) ? (it) => it[name] : undefined),
    },
  );
  return map(row, rowNumber);
}
const fault = (action: () => unknown): { code?: string; message?: string } => {
  try {
    action();
  } catch (thrown) {
    return thrown as { code: string; message: string };
  }
  return {};
};

describe('mapping files that are shipped', () => {
  it('cabspotting makes pings', async () => {
    const mapping = await loadMapping(join(SOURCES, 'cabspotting.yaml'));
    const row = { ts: '1211353200', cab: 'a', lat: '37.5', lon: '-122.5', occupied: '1' };
    const event = { type: 'driver.location', driverId: 'a', lat: 37.5, lon: -122.5, ts: 1_211_353_200_000 };
    expect(mapRow(mapping, row)).toEqual({ ...event, status: 'ontrip' });
    expect(mapRow(mapping, { ...row, occupied: '0' })).toEqual({ ...event, status: 'open' });
  });

  it('uber-foil makes requests named by their row', async () => {
    const mapping = await loadMapping(join(SOURCES, 'uber-foil.yaml'));
    const row = { ts: '2014-04-07T00:00:00-04:00', lat: '40.5', lon: '-73.5', base: 'B' };
    expect(mapRow(mapping, row, 17)).toEqual({
      type: 'ride.requested',
      rideId: 'u-17',
      riderId: 'u-17',
      lat: 40.5,
      lon: -73.5,
      ts: Date.UTC(2014, 3, 7, 4),
    });
  });

  it('ndjson is the identity, and the default for NDJSON files only', async () => {
    expect((await loadMapping(join(SOURCES, 'ndjson.yaml'))).fields).toBeUndefined();
    expect(defaultMapping('a.ndjson.gz').fields).toBeUndefined();
    expect(fault(() => defaultMapping('a.csv'))).toMatchObject({ code: 'GS_MAPPING' });
  });
});

describe('compileMapping', () => {
  it.each<[string, object, unknown, unknown]>([
    ['a column of an id stays a text', { driverId: 'c' }, '007', { driverId: '007' }],
    ['a column of a number becomes one', { lat: 'c' }, ' 12.5 ', { lat: 12.5 }],
    ['an empty cell is no field', { lat: 'c', driverId: 'c' }, '', {}],
    ['blanks are no number', { lat: 'c' }, '  ', {}],
    ['zero is a number', { lat: 'c' }, '0.0', { lat: 0 }],
    ['what is no number stays as it stood', { lat: 'c' }, '12,5', { lat: '12,5' }],
    ['NaN stays NaN for the checker to refuse', { lat: 'c' }, 'NaN', { lat: NaN }],
    [
      'seconds, with fractions',
      { ts: { column: 'c', unit: 's' } },
      '1211353200.25',
      { ts: 1_211_353_200_250 },
    ],
    ['microseconds', { ts: { column: 'c', unit: 'us' } }, '1211353200000999', { ts: 1_211_353_200_000 }],
    ['milliseconds by default', { ts: 'c' }, '1211353200000', { ts: 1_211_353_200_000 }],
    [
      'ISO 8601 with offset',
      { ts: { column: 'c', unit: 'iso8601' } },
      '2014-04-07 00:00:00.5+0100',
      { ts: Date.UTC(2014, 3, 6, 23, 0, 0, 500) },
    ],
    [
      'ISO 8601 without offset is left for the checker',
      { ts: { column: 'c', unit: 'iso8601' } },
      '2014-04-07T00:00:00',
      { ts: '2014-04-07T00:00:00' },
    ],
    ['a constant', { status: { constant: 'open' } }, 'x', { status: 'open' }],
    [
      'a value without its equal stays, when there is no else',
      { status: { column: 'c', values: { 1: 'ontrip' } } },
      '7',
      { status: '7' },
    ],
    ['a number for a further field', { fare: { column: 'c', as: 'number' } }, '3.5', { fare: 3.5 }],
    ['a number as text', { driverId: { column: 'c', as: 'text' } }, 17, { driverId: '17' }],
    ['a template of an absent column is no field', { id: '{c}-{row}' }, undefined, {}],
    ['a template of row and column', { id: '{c}-{row}' }, 'x', { id: 'x-1' }],
  ])('%s', (_name, fields, cell, expected) => {
    expect(mapRow(csv(fields), { c: cell })).toEqual({ type: 'driver.location', ...(expected as object) });
  });

  it('takes the event type from a column', () => {
    const event = { column: 'kind', values: { p: 'ride.picked_up' }, else: 'ride.requested' };
    expect(mapRow(csv({}, event), { kind: 'p' })).toEqual({ type: 'ride.picked_up' });
  });

  it('a column that the file lacks is an error that names the nearest one', () => {
    const missing = fault(() => mapRow(csv({ lat: 'latitud' }), { latitude: '1' }));
    expect(missing).toMatchObject({ code: 'GS_MAPPING' });
    expect(missing.message).toMatch(
      /m\.yaml: fields\.lat: f\.csv has no column "latitud"; did you mean "latitude"\?/,
    );
  });
});

describe('parseMapping', () => {
  it.each<[string, unknown, RegExp]>([
    ['an unknown key', { ...csv({}), feilds: {} }, /m\.yaml: feilds: unknown key; did you mean "fields"\?/],
    [
      'an unknown key of a field',
      csv({ ts: { colum: 'x' } }),
      /fields\.ts\.colum: unknown key; did you mean "column"\?/,
    ],
    [
      'an unknown unit',
      csv({ ts: { column: 'x', unit: 'sec' } }),
      /fields\.ts\.unit: expected ms, s, us, iso8601/,
    ],
    ['an unknown event', csv({}, 'driver.locatoin'), /event: .*did you mean "driver\.location"\?/],
    ['a format', { format: 'cvs' }, /format: .*did you mean "csv"\?/],
    ['a csv without fields', { format: 'csv' }, /needs event and fields/],
    ['fields without event', { format: 'ndjson', fields: {} }, /event and fields go together/],
    ['a field of a wrong kind', csv({ lat: 5 }), /fields\.lat: expected string or object, found number 5/],
    [
      'column and constant',
      csv({ lat: { column: 'x', constant: 1 } }),
      /fields\.lat: give either column or constant/,
    ],
    ['a field that is no name', csv({ 'a-b': 'x' }), /fields\.a-b: /],
    ['nothing', null, /expected object, found nothing/],
  ])('%s is an error with its path', (_name, value, message) => {
    const thrown = fault(() => parseMapping(value, 'm.yaml'));
    expect(thrown.code).toBe('GS_MAPPING');
    expect(thrown.message).toMatch(message);
  });
});
