import { describe, expect, it } from 'vitest';
import type { Assignment } from '../../src/seed/assign.js';
import { hashPassword } from '../../src/seed/credentials.js';
import type { Place, PlannedWrites } from '../../src/seed/plan-writes.js';
import type { ResolvedRow } from '../../src/seed/resolve-rows.js';
import { planCredentials } from '../../src/seed/rotate.js';
import type { Texts } from '../../src/seed/row-keys.js';
import { recorded, resolved, table } from '../fixtures/seed/values.js';

const USERS = table('users', {
  user_id: 'uuid!',
  username: 'varchar!',
  pw_hash: 'varchar',
  salt: 'varchar',
  locked: 'bool',
});
const SETTINGS = table('settings', { setting_id: 'uuid!', name: 'varchar!', value: 'varchar' });
const PASSWORD = 's3cr3t-new';
const OLD = { pw_hash: hashPassword('s3cr3t-old', 'salt'), salt: 'salt' };

function user(): ResolvedRow {
  const [row] = resolved(USERS, { user_id: 'u', username: 'admin@kasm.local' });
  return { ...row, assignment: assignmentOf(row, 'admin-password', 'pw_hash') };
}
function setting(): ResolvedRow {
  const [row] = resolved(SETTINGS, { setting_id: 's', name: 'token' });
  return { ...row, assignment: assignmentOf(row, 'manager-token', 'value') };
}
function assignmentOf({ row }: ResolvedRow, key: string, column: string): Assignment {
  return { row, key, secret: PASSWORD, column, needed: true };
}
/** @param written what the seed wrote; default: what is there now */
function placed(row: ResolvedRow, now: Texts, written: Texts = now): Place {
  return { record: recorded(row.table, 'key', row.docKey, written), before: now };
}
function plan(row: ResolvedRow, place: Place | undefined, rotate: string[] | 'all' = [], force = false) {
  const places = new Map(place ? [[row, place]] : []);
  return planCredentials([row], { places } as unknown as PlannedWrites, { rotate, force });
}
const actionOf = (...args: Parameters<typeof plan>) => plan(...args).reports.map(({ action }) => action);

describe('a credential that was not named', () => {
  const row = user();
  const same = { pw_hash: hashPassword(PASSWORD, 'salt'), salt: 'salt' };
  it.each<[string, Place | undefined, string]>([
    ['without a row', undefined, 'absent'],
    ['of a new row', { ...placed(row, OLD), before: undefined }, 'set'],
    ['as the Secret has it', placed(row, same), 'unchanged'],
    ['that the Secret has otherwise since', placed(row, OLD), 'changed'],
    ['that somebody has changed in the database', placed(row, OLD, same), 'kept'],
  ])('%s: %s', (_, place, action) => {
    expect(plan(row, place)).toEqual({ reports: [{ key: 'admin-password', action }], writes: [], records: [] });
  });
});

it('a user’s password is rotated with a new salt; what locks him out is cleared, and not recorded', () => {
  const row = user();
  const { reports, writes, records } = plan(row, placed(row, OLD), ['admin-password']);
  expect(reports).toEqual([{ key: 'admin-password', action: 'rotated' }]);
  const values = writes[0]?.values as Record<string, string>;
  // Of the columns that are cleared the table has this one.
  expect(Object.keys(values)).toEqual(['pw_hash', 'salt', 'locked']);
  expect(values.pw_hash).toBe(hashPassword(PASSWORD, values.salt as string));
  expect(values.salt).not.toBe('salt');
  expect(Object.keys(records[0]?.columns ?? {}).sort()).toEqual(['pw_hash', 'salt']);
});

describe('a setting that kasm-db has not written', () => {
  const row = setting();
  const place = placed(row, { value: 'theirs' }, { value: 'ours' });
  it('is overwritten with force alone', () => {
    expect(() => plan(row, place, 'all')).toThrow(
      /manager-token: the stored setting was not written by kasm-db, so it may be/,
    );
    expect(actionOf(row, place, 'all', true)).toEqual(['rotated']);
  });
  it('is named as encrypted where it looks so', () => {
    const encrypted = placed(row, { value: Buffer.alloc(32, 200).toString('base64') }, { value: 'ours' });
    expect(() => plan(row, encrypted, 'all')).toThrow(/looks encrypted by Kasm/);
  });
  it('is taken as it is where it says the same', () => {
    expect(actionOf(row, placed(row, { value: PASSWORD }, { value: 'ours' }), 'all')).toEqual(['rotated']);
  });
});
