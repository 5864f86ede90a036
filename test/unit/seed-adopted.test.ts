import { expect, it } from 'vitest';
import { SEEDED_BY_PROGRAM } from '../../src/history/run-row.js';
import type { MigrationState } from '../../src/history/state.js';
import { adoptionOf } from '../../src/seed/adopted.js';
import { row } from '../fixtures/seed/values.js';

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
