import { describe, expect, it } from 'vitest';
import { SEEDED_BY_PROGRAM } from '../../src/history/run-row.js';
import type { MigrationState } from '../../src/history/state.js';
import { adoptionOf, withPlace } from '../../src/seed/adopted.js';
import type { Table } from '../../src/seed/catalog.js';
import { row, table } from '../fixtures/seed/values.js';

type Written = Pick<MigrationState, 'history' | 'run'>;

const ROWS = [row('users', {}), row('settings', {}), row('groups', {})];
const some = (...tables: string[]) => new Map(tables.map((table) => [table, new Map([['key', {}]])]));
const OURS = { history: [{ kind: 'sql' }] } as unknown as Written;
const ADOPTED = { history: [{ kind: 'adopted' }] } as unknown as Written;
const BY_PROGRAM = { ...OURS, run: { seedDigest: `1.0.0:${SEEDED_BY_PROGRAM}` } } as unknown as Written;
const ALL = some('users', 'settings', 'groups');

it.each([
  ['ours', OURS, ALL, false, { adopted: false, adopting: false, lacking: [] }],
  ['adopted', ADOPTED, ALL, false, { adopted: true, adopting: true, lacking: [] }],
  ['adopted and seeded before', ADOPTED, ALL, true, { adopted: true, adopting: false, lacking: [] }],
  ['adopted without a row', ADOPTED, some(), false, { adopted: true, adopting: false, lacking: [] }],
  [
    'adopted half-done',
    ADOPTED,
    some('groups', 'users'),
    false,
    { adopted: true, adopting: false, lacking: ['settings'] },
  ],
  [
    'of a program that left settings out',
    BY_PROGRAM,
    some('users'),
    false,
    { adopted: true, adopting: true, lacking: [] },
  ],
])('a database that is %s', (_, state, current, seededBefore, adoption) => {
  expect(adoptionOf(state, ROWS, current, seededBefore)).toEqual(adoption);
});

describe('withPlace', () => {
  const INSTALLATION = table('installation', { installation_id: 'uuid!=' });
  it.each<[what: string, tables: Table[], cells: Record<string, unknown>, left: number]>([
    ['a table that takes it', [INSTALLATION], { installation_id: '${uuid:installation}' }, 1],
    ['a table that takes a row without values', [INSTALLATION], {}, 1],
    ['a table of another form', [table('installation', { id: 'int4!' })], { installation_id: 'x' }, 0],
    ['no such table', [], { installation_id: 'x' }, 0],
    ['no such table, for a row without values', [], {}, 0],
  ])('the row of the installation › %s', (_, tables, cells, left) => {
    const rows = [row('installation', cells), row('zones', {})];
    expect(withPlace(rows, new Map(tables.map((one) => [one.name, one])))).toHaveLength(left + 1);
  });
});
