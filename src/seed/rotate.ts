import { randomUUID } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import type { Assignment } from './assign.js';
import type { Table } from './catalog.js';
import { hashPassword } from './credentials.js';
import { looksEncrypted } from './encrypted.js';
import { timestampText } from './generated-secrets.js';
import type { PlannedWrites } from './plan-writes.js';
import { fingerprint, isAsWritten, type SeedRecord } from './records.js';
import type { ResolvedRow } from './resolve-rows.js';
import type { Place } from './row-plan.js';
import type { Texts } from './texts.js';
import type { Write } from './write-rows.js';

export interface CredentialReport {
  key: string;
  /**
   * set: written with a new row; unchanged; changed: the Secret has another value than the database, --rotate applies it; kept: changed in the
   * database since it was seeded; rotated; absent: its row is not there.
   */
  action: 'set' | 'unchanged' | 'changed' | 'kept' | 'rotated' | 'absent';
}

export interface RotateOptions {
  /** Secret keys to apply although they were seeded before. */
  rotate: string[] | 'all';
  /** Also overwrite settings that kasm-db did not write. */
  force: boolean;
}

/** What is to be done for one credential. */
interface CredentialPlan {
  action: CredentialReport['action'];
  write?: Write;
  record?: SeedRecord;
}

/** What the vendor's admin recovery clears besides: whoever is locked out has to come in again. */
const CLEARED = { secret: null, set_two_factor: false, locked: false, disabled: false, failed_pw_attempts: 0 };

/**
 * Compares each credential with what is stored, and rotates those that were named. Pure but for new salts.
 * @throws KasmDbError seed where a setting to rotate was not written by kasm-db
 */
export function planCredentials(
  rows: readonly ResolvedRow[],
  planned: PlannedWrites,
  options: RotateOptions,
): { reports: CredentialReport[]; writes: Write[]; records: SeedRecord[] } {
  const plans = rows.flatMap((row) => {
    const { assignment } = row;
    if (assignment?.secret === undefined) return [];
    const { key, secret } = assignment;
    return [{ key, ...planCredential(row, assignment, secret, planned.places.get(row), options) }];
  });
  return {
    reports: plans.map(({ key, action }) => ({ key, action })),
    writes: plans.flatMap(({ write }) => (write ? [write] : [])),
    records: plans.flatMap(({ record }) => (record ? [record] : [])),
  };
}

function planCredential(
  { table }: ResolvedRow,
  assignment: Assignment,
  secret: string,
  place: Place | undefined,
  { rotate, force }: RotateOptions,
): CredentialPlan {
  if (!place) return { action: 'absent' };
  if (place.inserted) return { action: 'set' };
  const now = place.texts as Texts;
  const { columns, key, kind } = assignment;
  const column = (columns.value ?? columns.hash) as string;
  const same = columns.value
    ? now[column] === secret
    : now[column] === hashPassword(secret, now[columns.salt as string] ?? '');
  const ours = isAsWritten(place.record, column, now[column] ?? null);
  if (rotate !== 'all' && !rotate.includes(key)) return { action: same ? 'unchanged' : ours ? 'changed' : 'kept' };
  if (kind === 'setting' && !ours && !same && !force)
    throw foreignSetting(key, now[column], table.columns.get(column)?.type);
  const values = rotatedValues(assignment, table, secret);
  return {
    action: 'rotated',
    write: { kind: 'update', table: table.name, rowKey: place.rowKey, values },
    record: rotatedRecord(place.record, assignment, values),
  };
}

function foreignSetting(key: string, value: string | null | undefined, type = ''): KasmDbError {
  const encrypted = looksEncrypted(value, type) ? 'and looks encrypted by Kasm' : 'so it may be encrypted by Kasm';
  return new KasmDbError(
    'seed',
    `${key}: the stored setting was not written by kasm-db, ${encrypted}; it is not overwritten`,
    {
      hint: 'if you know that this Kasm keeps it in plain text: add --force; else change it in the admin interface',
    },
  );
}

function rotatedValues({ kind, columns }: Assignment, table: Table, secret: string): Record<string, unknown> {
  if (columns.value) return { [columns.value]: secret };
  const salt = randomUUID();
  const values: Record<string, unknown> = {
    [columns.hash as string]: hashPassword(secret, salt),
    [columns.salt as string]: salt,
  };
  if (kind === 'user') Object.assign(values, CLEARED, { password_set_date: timestampText(new Date()) });
  // A customer may have dropped a column.
  return Object.fromEntries(Object.entries(values).filter(([name]) => table.columns.has(name)));
}

/** The lock-out fields are not recorded: were they ours, the next seed would lock again whom the documents lock. */
function rotatedRecord(record: SeedRecord, assignment: Assignment, values: Record<string, unknown>): SeedRecord {
  const columns = { ...record.columns };
  for (const name of Object.values(assignment.columns)) {
    columns[name] = { ...columns[name], print: fingerprint(record.salt, values[name] as string) };
  }
  return { ...record, columns };
}
