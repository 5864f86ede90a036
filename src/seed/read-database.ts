import { findHistoryTable } from '../history/tables.js';
import type { Session } from '../postgres/session.js';
import { withPlace } from './adopted.js';
import { readCatalog, type Table } from './catalog.js';
import { type CurrentRows, knownTokens, readCurrent } from './current.js';
import type { SeedDocument, SeedRow } from './document.js';
import { type RenamedRecord, readRecords, type SeedRecord } from './records.js';
import { renameTokens } from './renamed-tokens.js';

/** What a seed finds. */
export interface FoundDatabase {
  catalog: ReadonlyMap<string, Table>;
  /** What earlier seeds have recorded, with the names of today. */
  records: SeedRecord[];
  renamed: RenamedRecord[];
  /** There is a place for records; a dry run on a database that was never seeded has none. */
  hasRecords: boolean;
  /** The documents' rows that it has a place for. */
  rows: SeedRow[];
  current: CurrentRows;
  /** Values that it has for tokens. */
  known: Map<string, string>;
}

/**
 * @param rows of all documents together
 * @throws KasmDbError integrity when one of the tables would run code of somebody else, or hides rows
 */
export async function readDatabase(
  session: Session,
  documents: readonly SeedDocument[],
  rows: readonly SeedRow[],
): Promise<FoundDatabase> {
  const hasRecords = (await findHistoryTable(session, 'kasm_db.seeds')) !== undefined;
  const stored = hasRecords ? await readRecords(session) : [];
  const catalog = await readCatalog(session, new Set([...rows, ...stored].map(({ table }) => table)));
  const everyRow = documents.flatMap((document) => document.rows);
  const { records, renamed } = renameTokens(stored, everyRow, catalog);
  const fitting = withPlace(rows, catalog);
  const current = await readCurrent(session, fitting, catalog);
  const known = knownTokens(records, current, catalog);
  return { catalog, records, renamed, hasRecords, rows: fitting, current, known };
}
