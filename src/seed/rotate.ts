import { randomUUID } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import type { Assignment } from './assign.js';
import { hashPassword } from './credentials.js';
import { looksEncrypted } from './encrypted.js';
import type { PlannedWrites, ResolvedRow, Texts } from './plan-writes.js';
import { fingerprint, type Remembered, type Write } from './store.js';

export interface CredentialReport {
  key: string;
  /**
   * set: written with a new row; unchanged; changed: the Secret has another value than the database, --rotate applies it; kept: changed in the
   * database since it was seeded; rotated; absent: its row is not there.
   */
  action: 'set' | 'unchanged' | 'changed' | 'kept' | 'rotated' | 'absent';
}

/** What the vendor's admin recovery clears besides: whoever is locked out has to come in again. */
const CLEARED = { secret: null, set_two_factor: false, locked: false, disabled: false, failed_pw_attempts: 0 };

/** Compares each credential with what is stored, and rotates those that were named. Pure but for new salts. */
export function applyCredentials(
  assignments: readonly { assignment: Assignment; resolved: ResolvedRow }[],
  planned: PlannedWrites,
  options: { rotate: (key: string) => boolean; force: boolean; now: string },
): { reports: CredentialReport[]; writes: Write[]; remember: Remembered[] } {
  const reports: CredentialReport[] = [];
  const writes: Write[] = [];
  const remember: Remembered[] = [];
  for (const { assignment, resolved } of assignments) {
    const { key, secret } = assignment;
    if (secret === undefined) continue;
    const place = planned.located.get(resolved);
    if (!place) {
      reports.push({ key, action: 'absent' });
      continue;
    }
    if (place.inserted) {
      reports.push({ key, action: 'set' });
      continue;
    }
    const now = place.texts as Texts;
    const entry = place.memory;
    const column = (assignment.columns.value ?? assignment.columns.hash) as string;
    const same = assignment.columns.value
      ? now[column] === secret
      : now[column] === hashPassword(secret, now[assignment.columns.salt as string] ?? '');
    const print = entry?.columns[column]?.print;
    const ours = entry !== undefined && print != null && fingerprint(entry.salt, now[column] ?? null) === print;
    if (!options.rotate(key)) {
      reports.push({ key, action: same ? 'unchanged' : ours ? 'changed' : 'kept' });
      continue;
    }
    if (assignment.kind === 'setting' && !ours && !same && !options.force) {
      const encrypted = looksEncrypted(now[column], resolved.table.columns.get(column)?.type ?? '')
        ? 'and looks encrypted by Kasm'
        : 'so it may be encrypted by Kasm';
      throw new KasmDbError(
        'seed',
        `${key}: the stored setting was not written by kasm-db, ${encrypted}; it is not overwritten`,
        {
          hint: 'if you know that this Kasm keeps it in plain text: add --force; else change it in the admin interface',
        },
      );
    }
    const values = rotated(assignment, resolved, secret, options.now);
    writes.push({ kind: 'update', table: resolved.table.name, rowKey: place.rowKey, values });
    if (entry) {
      const columns = { ...entry.columns };
      // The lock-out fields are not remembered: were they ours, the next seed would lock again whom the documents lock.
      for (const name of Object.values(assignment.columns)) {
        columns[name] = { ...columns[name], print: fingerprint(entry.salt, values[name] as string) };
      }
      remember.push({ ...entry, columns });
    }
    reports.push({ key, action: 'rotated' });
  }
  return { reports, writes, remember };
}

function rotated(
  { kind, columns }: Assignment,
  { table }: ResolvedRow,
  secret: string,
  now: string,
): Record<string, unknown> {
  if (columns.value) return { [columns.value]: secret };
  const salt = randomUUID();
  const values: Record<string, unknown> = {
    [columns.hash as string]: hashPassword(secret, salt),
    [columns.salt as string]: salt,
  };
  if (kind === 'user') Object.assign(values, CLEARED, { password_set_date: now });
  // A customer may have dropped a column.
  return Object.fromEntries(Object.entries(values).filter(([name]) => table.columns.has(name)));
}
