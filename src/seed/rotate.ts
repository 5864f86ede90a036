import { randomUUID } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { type Assignment, assignCredentials, filledValues } from './assign.js';
import type { Credentials } from './credentials.js';
import type { SeedRow } from './document.js';
import { looksEncrypted } from './encrypted.js';
import { timestampText } from './generated-secrets.js';
import type { Place, PlannedWrites } from './plan-writes.js';
import { fingerprint, isAsWritten, type SeedRecord } from './records.js';
import type { ResolvedRow } from './resolve-rows.js';
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

/** Before anything is changed, the role's own password too. @throws KasmDbError seed where a key to rotate has no row or no value */
export function requireRotatable(rotate: string[] | 'all', rows: readonly SeedRow[], credentials: Credentials): void {
  if (rotate === 'all') return;
  const assignments = assignCredentials(rows, credentials);
  for (const key of rotate) {
    const found = assignments.find((assignment) => assignment.key === key);
    if (!found)
      throw new KasmDbError('seed', `--rotate: no row of the seed documents takes the credential "${key}"`, {
        hint: `known are ${assignments.map((assignment) => assignment.key).join(', ')}`,
      });
    if (found.secret === undefined)
      throw new KasmDbError('seed', `--rotate: the credential "${key}" has no value`, {
        hint: 'add it to the mounted Secret',
      });
  }
}

/** @throws KasmDbError seed where a row has to be made whose credential nobody gives */
export function requireCredentials(
  rows: readonly ResolvedRow[],
  { places }: PlannedWrites,
  credentials: Credentials,
): void {
  const missing = rows.flatMap((row) => {
    const { assignment } = row;
    const place = places.get(row);
    if (!assignment?.needed || assignment.secret !== undefined || !place || place.before) return [];
    return [`${assignment.key} (looked for in ${credentials.places(assignment.key)})`];
  });
  if (missing.length === 0) return;
  throw new KasmDbError(
    'seed',
    `${plural(missing.length, 'credential is', 'credentials are')} missing, so nothing was written: ${missing.join('; ')}`,
    {
      hint: 'add the keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); kasm-db has no default credential',
    },
  );
}

/**
 * Compares each credential with what is stored, and rotates those that were named. Pure but for new salts.
 * @throws KasmDbError seed where a setting to rotate was not written by kasm-db
 */
export function planCredentials(
  rows: readonly ResolvedRow[],
  { places }: PlannedWrites,
  options: RotateOptions,
): { reports: CredentialReport[]; writes: Write[]; records: SeedRecord[] } {
  const reports: CredentialReport[] = [];
  const writes: Write[] = [];
  const records: SeedRecord[] = [];
  for (const row of rows) {
    const { assignment, table } = row;
    if (assignment?.secret === undefined) continue;
    const { key, secret, column } = assignment;
    const place = places.get(row);
    const action = place ? actionFor(row, assignment, place, options) : 'absent';
    reports.push({ key, action });
    if (!place || action !== 'rotated') continue;
    const filled = filledValues(column, secret, randomUUID());
    const values = column === 'pw_hash' ? { ...filled, ...cleared() } : filled;
    // A customer may have dropped a column.
    const written = Object.entries(values).filter(([name]) => table.columns.has(name));
    const { record } = place;
    writes.push({ kind: 'update', table: table.name, rowKey: record.rowKey, values: Object.fromEntries(written) });
    records.push(withPrints(record, filled));
  }
  return { reports, writes, records };
}

function actionFor(
  { table }: ResolvedRow,
  { key, secret = '', column }: Assignment,
  { record, before }: Place,
  { rotate, force }: RotateOptions,
): CredentialReport['action'] {
  if (!before) return 'set';
  const stored = before[column] ?? null;
  const same = stored === filledValues(column, secret, before.salt ?? '')[column];
  const ours = isAsWritten(record, column, stored);
  if (rotate === 'all' || rotate.includes(key)) {
    if (column === 'value' && !same && !ours && !force)
      throw foreignSetting(key, looksEncrypted(stored, table.columns.get(column)?.type ?? ''));
    return 'rotated';
  }
  if (same) return 'unchanged';
  return ours ? 'changed' : 'kept';
}

function foreignSetting(key: string, isEncrypted: boolean): KasmDbError {
  const encrypted = isEncrypted ? 'and looks encrypted by Kasm' : 'so it may be encrypted by Kasm';
  return new KasmDbError(
    'seed',
    `${key}: the stored setting was not written by kasm-db, ${encrypted}; it is not overwritten`,
    {
      hint: 'if you know that this Kasm keeps it in plain text: add --force; else change it in the admin interface',
    },
  );
}

/**
 * What the vendor's admin recovery clears besides: whoever is locked out has to come in again. It is not recorded: were it ours, the next seed
 * would lock again whom the documents lock.
 */
const cleared = () => ({
  secret: null,
  set_two_factor: false,
  locked: false,
  disabled: false,
  failed_pw_attempts: 0,
  password_set_date: timestampText(new Date()),
});

function withPrints(record: SeedRecord, written: Record<string, string>): SeedRecord {
  const columns = { ...record.columns };
  for (const [name, text] of Object.entries(written))
    columns[name] = { ...columns[name], print: fingerprint(record.salt, text) };
  return { ...record, columns };
}
