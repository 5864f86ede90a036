import { hash, randomUUID } from 'node:crypto';
import { escapeLiteral } from 'pg';
import { VERSION } from '../app/version.js';
import type { Session } from '../postgres/session.js';
import { decoded, guarded, sendRows } from './guarded.js';

/** What a seed remembers of a row, in kasm_db.seeds: which one it is, and how each value was when it was written. */
export interface SeedRecord {
  table: string;
  /** Its primary key as text; of a table without one, all its values; '' where it was not in the database. */
  rowKey: string;
  /** How the documents name it. */
  docKey: string;
  /** Hex, of this row alone. */
  salt: string;
  columns: Record<string, RecordedColumn>;
}

export interface RecordedColumn {
  /** Salted SHA-256 of the stored value's text; null: not written by a seed. */
  print: string | null;
  /** The token that made it. */
  token?: string;
}

/** No two rows of the documents have the same. */
export const recordId = ({ table, docKey }: Pick<SeedRecord, 'table' | 'docKey'>) => `${table}\0${docKey}`;

/** Salted, so that equal values in two rows don't show, and none can be looked up in a table of hashes. */
export function fingerprint(salt: string, value: string | null): string {
  return hash('sha256', value === null ? `${salt}n` : `${salt}v${value}`);
}

/** 122 random bits as hex; node:crypto makes UUIDs from a pool, ten times as fast as single random bytes. */
export const newSalt = () => randomUUID().replaceAll('-', '');

/** Is the value still the one that a seed has written? */
export function isAsWritten(record: SeedRecord | undefined, column: string, value: string | null): boolean {
  const print = record?.columns[column]?.print;
  return record !== undefined && print != null && fingerprint(record.salt, value) === print;
}

/** What earlier seeds have written. */
export async function readRecords(session: Session): Promise<SeedRecord[]> {
  return session.query(
    'SELECT table_name AS "table", row_key AS "rowKey", doc_key AS "docKey", salt, columns FROM kasm_db.seeds',
  );
}

/** Records rows as they now are; of two records of one row the later one counts. @param renamed records that have other names now: as they were, and as they are */
export async function updateRecords(
  session: Session,
  renamed: ReadonlyMap<SeedRecord, SeedRecord>,
  written: readonly SeedRecord[],
): Promise<void> {
  const before = [...renamed.keys()];
  if (before.length > 0)
    await session.query(
      'DELETE FROM kasm_db.seeds s USING unnest($1::text[], $2::text[]) AS d(name, key) WHERE s.table_name = d.name AND s.doc_key = d.key',
      [before.map(({ table }) => table), before.map(({ docKey }) => docKey)],
    );
  const after = [...renamed.values(), ...written];
  const records = [...new Map(after.map((record) => [recordId(record), record])).values()];
  if (records.length === 0) return;
  await sendRows(
    session,
    'kasm_db_remember',
    records.map((record) => ({ values: record })),
  );
  await guarded(
    session,
    'remembering the rows',
    `INSERT INTO kasm_db.seeds (table_name, row_key, doc_key, salt, columns, app_version)
  SELECT d."table", d."rowKey", d."docKey", d.salt, d.columns, ${escapeLiteral(VERSION)}
  FROM pg_temp.kasm_db_remember i,
    json_to_record(${decoded('i.doc')}::json) AS d("table" text, "rowKey" text, "docKey" text, salt text, columns jsonb)
  ON CONFLICT (table_name, doc_key) DO UPDATE SET row_key = excluded.row_key, salt = excluded.salt, columns = excluded.columns,
    app_version = excluded.app_version, seeded_at = now();`,
  );
}
