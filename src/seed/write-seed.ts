import { type Breathe, breather } from '../app/time.js';
import type { Context } from '../config/context.js';
import type { MigrationState } from '../history/state.js';
import type { Session } from '../postgres/session.js';
import { adoptionOf } from './adopted.js';
import { CREDENTIAL_COLUMNS } from './assign.js';
import { canonicalTexts } from './canonical-texts.js';
import type { Credentials } from './credentials.js';
import { hasUsers, valuesIn } from './current.js';
import type { SeedDocument, SeedRow } from './document.js';
import { type EncryptedColumn, findEncrypted, hasOthersValues } from './find-encrypted.js';
import { newPlainText, warningsOf } from './notes.js';
import { type PlannedWrites, planWrites } from './plan-writes.js';
import { refuse } from './problems.js';
import { type FoundDatabase, readDatabase } from './read-database.js';
import { recordId, updateRecords } from './records.js';
import { requireCredentials } from './require-credentials.js';
import { resolveRows } from './resolve-rows.js';
import { type CredentialReport, planCredentials, type RotateOptions } from './rotate.js';
import { danglingReferences, validateRows } from './validate.js';
import { type Write, writeRows } from './write-rows.js';

export interface SeedRequest extends RotateOptions {
  documents: SeedDocument[];
  credentials: Credentials;
}

/** What a seed has done. */
export interface SeedReport {
  counts: PlannedWrites['counts'];
  credentials: CredentialReport[];
  /** Columns into which it writes plain text for the first time, where a genuine Kasm API may expect what only its code can encrypt. */
  plainText: string[];
  /** Columns in which values look encrypted by Kasm; looked for where somebody else has written rows. */
  encrypted: string[];
  /** Rows of settings that are there afterwards. */
  settings: number;
  warnings: string[];
}

/**
 * Writes what the database lacks of the documents' rows, and the credentials, within a transaction of the caller.
 * @param documentRows of all documents together
 * @throws KasmDbError seed when a document or a Secret is wrong; integrity when a table is not safe to use
 */
export async function writeSeed(
  { signal }: Context,
  session: Session,
  documentRows: readonly SeedRow[],
  request: SeedRequest,
  state: MigrationState,
): Promise<SeedReport> {
  const breathe = breather(signal);
  const database = await readDatabase(session, request.documents, documentRows);
  const { catalog, records, current } = database;
  const { adopted, adopting, lacking } = adoptionOf(state, documentRows, current, records.length > 0);

  await validate(database, adopting, breathe);
  const rows = await resolveRows({ ...database, credentials: request.credentials, breathe });
  const texts = await canonicalTexts(session, rows);

  const planned = await planWrites(rows, texts, { records, current, adopting }, breathe);
  refuse(planned.problems);
  requireCredentials(rows, planned, request.credentials);
  const credentials = planCredentials(rows, planned, request);
  const writes = [...planned.writes, ...planned.deferredUpdates, ...credentials.writes];

  const mayBeMixed = adopted || hasOthersValues(records, catalog);
  const encrypted = mayBeMixed ? await findEncrypted(session, records) : [];
  await writeRows(session, writes, catalog);
  if (database.hasRecords) await updateRecords(session, database.renamed, [...planned.records, ...credentials.records]);

  const notes = await noteWritten(session, database, writes, { lacking, encrypted });
  return { counts: planned.counts, credentials: credentials.reports, ...notes };
}

/** @throws KasmDbError seed with everything that is wrong with the documents */
async function validate(database: FoundDatabase, adopting: boolean, breathe: Breathe): Promise<void> {
  const { rows, catalog, records, current, known } = database;
  const filled = adopting ? 'all' : CREDENTIAL_COLUMNS;
  refuse([
    ...(await validateRows(rows, catalog, filled, breathe, new Set(records.map(recordId)))),
    ...danglingReferences(rows, catalog, valuesIn(current, known)),
  ]);
}

/** What somebody has to be told of what was written. */
async function noteWritten(
  session: Session,
  { catalog, records, current }: FoundDatabase,
  writes: readonly Write[],
  { lacking, encrypted }: { lacking: string[]; encrypted: EncryptedColumn[] },
): Promise<Pick<SeedReport, 'plainText' | 'encrypted' | 'settings' | 'warnings'>> {
  const inserted = (table: string) => writes.filter((write) => write.kind === 'insert' && write.table === table).length;
  const earlier = (table: string) => current.get(table)?.size ?? 0;
  const plainText = newPlainText(writes, records, catalog);
  const settings = inserted('settings') + earlier('settings');
  const warnings = warningsOf({
    lacking,
    plainText,
    encrypted,
    settings: inserted('settings') > 0 ? settings : undefined,
    users: inserted('users') > 0 || earlier('users') > 0 || (await hasUsers(session)),
  });
  return { plainText, encrypted: encrypted.map(({ name }) => name), settings, warnings };
}
