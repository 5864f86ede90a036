import { type Breathe, breather, unlessStopped } from '../app/time.js';
import type { Context } from '../config/context.js';
import type { MigrationState } from '../history/state.js';
import { findHistoryTable } from '../history/tables.js';
import type { Session } from '../postgres/session.js';
import { adoptionOf, withPlace } from './adopted.js';
import { CREDENTIAL_COLUMNS } from './assign.js';
import { canonicalTexts } from './canonical-texts.js';
import { readCatalog, type Table } from './catalog.js';
import type { Credentials } from './credentials.js';
import { hasUsers, knownTokens, readCurrent, valueFinder } from './current.js';
import { refuse, type SeedDocument, type SeedRow } from './document.js';
import { type EncryptedColumn, findEncrypted, hasOthersValues } from './encrypted.js';
import { newPlainText, warningsOf } from './notes.js';
import { type PlannedWrites, planWrites } from './plan-writes.js';
import { readRecords, recordId, updateRecords } from './records.js';
import { renameTokens } from './renamed-tokens.js';
import { resolveRows } from './resolve-rows.js';
import { type CredentialReport, planCredentials, type RotateOptions, requireCredentials } from './rotate.js';
import { docKeyOf } from './row-keys.js';
import { looksLikeToken } from './tokens.js';
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

type FoundDatabase = Awaited<ReturnType<typeof readDatabase>>;

/**
 * Writes what the database lacks of the documents' rows, and the credentials, within a transaction of the caller.
 * @param documentRows of all documents together
 * @throws KasmDbError seed when a document or a Secret is wrong; integrity when a table would run code of somebody else, or hides rows
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
  // An RSA key takes as long as chance will have it.
  const resolving = resolveRows(database.rows, catalog, database.known, request.credentials, breathe);
  const rows = await unlessStopped(resolving, signal);
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

/** What a seed finds. */
async function readDatabase(session: Session, documents: readonly SeedDocument[], documentRows: readonly SeedRow[]) {
  // A dry run on a database that was never seeded has no place for records.
  const hasRecords = (await findHistoryTable(session, 'kasm_db.seeds')) !== undefined;
  const stored = hasRecords ? await readRecords(session) : [];
  const catalog = await readCatalog(session, new Set([...documentRows, ...stored].map(({ table }) => table)));
  const everyRow = documents.flatMap((document) => document.rows);
  const renamed = renameTokens(stored, everyRow, catalog);
  const records = stored.map((record) => renamed.get(record) ?? record);
  const rows = withPlace(documentRows, catalog);
  const current = await readCurrent(session, rows, catalog);
  return { catalog, records, renamed, hasRecords, rows, current, known: knownTokens(records, current, catalog) };
}

/** @throws KasmDbError seed with everything that is wrong with the documents */
async function validate(database: FoundDatabase, adopting: boolean, breathe: Breathe): Promise<void> {
  const { rows, catalog, records, current, known } = database;
  const recorded = new Set(records.map(recordId));
  // A credential fills the column, or the row is not inserted.
  const isGiven = (row: SeedRow, table: Table, column: string) =>
    adopting ||
    (row.table !== 'settings' && CREDENTIAL_COLUMNS[row.table]?.includes(column)) ||
    recorded.has(recordId({ table: row.table, docKey: docKeyOf(row, table) }));
  const hasValue = valueFinder(current);
  const inDatabase = (table: string, column: string, value: string) => {
    const actual = looksLikeToken(value) ? known.get(value) : value;
    return actual !== undefined && [actual, actual.toLowerCase()].some((text) => hasValue(table, column, text));
  };
  refuse([...(await validateRows(rows, catalog, isGiven, breathe)), ...danglingReferences(rows, catalog, inDatabase)]);
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
