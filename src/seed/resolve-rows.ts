import { randomUUID } from 'node:crypto';
import type { Breathe } from '../app/time.js';
import { type Assignment, assignCredentials, CREDENTIAL_COLUMNS, credentialValues } from './assign.js';
import { idColumn, type Table } from './catalog.js';
import type { Credentials } from './credentials.js';
import type { SeedRow } from './document.js';
import { GeneratedSecrets } from './generated-secrets.js';
import { docKeyOf } from './row-keys.js';
import { looksLikeToken } from './tokens.js';

/** A row of the documents with its tokens and credentials resolved. */
export interface ResolvedRow {
  row: SeedRow;
  table: Table;
  docKey: string;
  /** As json_populate_record takes them; what the documents leave out is left to the column's default. */
  values: Record<string, unknown>;
  /** The credential that belongs to it, whether it is given or not. */
  assignment?: Assignment | undefined;
  /** Columns that a credential fills. */
  credentialColumns: Set<string>;
}

/** Puts values in place of tokens, and credentials where they belong. @param known values of tokens that have one in this database */
export async function resolveRows(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  known: ReadonlyMap<string, string>,
  credentials: Credentials,
  breathe: Breathe,
): Promise<ResolvedRow[]> {
  const secrets = new GeneratedSecrets(known, credentials.get);
  const assignments = new Map(assignCredentials(rows, credentials).map((assignment) => [assignment.row, assignment]));
  const resolved: ResolvedRow[] = [];
  for (const row of rows) {
    await breathe();
    const table = catalog.get(row.table) as Table;
    const assignment = assignments.get(row);
    const values = await resolveCells(row, table, secrets);
    if (assignment) {
      const salt = typeof values.salt === 'string' ? values.salt : undefined;
      Object.assign(values, credentialValues(assignment, credentials, salt));
    }
    const id = idColumn(table);
    // An id of our own making, so that the row is known by it afterwards.
    if (id !== undefined && (values[id] ?? null) === null && table.columns.get(id)?.type === 'uuid')
      values[id] = randomUUID();
    const isFilled = assignment && (assignment.secret !== undefined || assignment.column !== 'value');
    const credentialColumns = new Set<string>(isFilled ? CREDENTIAL_COLUMNS[table.name] : []);
    resolved.push({ row, table, docKey: docKeyOf(row, table), values, assignment, credentialColumns });
  }
  return resolved;
}

async function resolveCells(row: SeedRow, table: Table, secrets: GeneratedSecrets): Promise<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [name, { value }] of row.cells) {
    const column = table.columns.get(name);
    // Null is a value like others; only where it can't be one, the column's default stands for it.
    if (value === null && column?.notNull) continue;
    const plain = await resolveTokens(value, secrets);
    values[name] =
      plain !== null && column?.type === 'bytea' ? `\\x${Buffer.from(plain as string).toString('hex')}` : plain;
  }
  return values;
}

/** Tokens may also stand inside lists and maps (JSON columns). */
async function resolveTokens(value: unknown, secrets: GeneratedSecrets): Promise<unknown> {
  if (looksLikeToken(value)) return secrets.value(value);
  if (Array.isArray(value)) return Promise.all(value.map((item) => resolveTokens(item, secrets)));
  if (value && typeof value === 'object' && !(value instanceof Uint8Array)) {
    const entries = await Promise.all(
      Object.entries(value).map(async ([key, item]) => [key, await resolveTokens(item, secrets)] as const),
    );
    return Object.fromEntries(entries);
  }
  return value;
}
