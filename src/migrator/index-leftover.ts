import { escapeIdentifier } from 'pg';
import { parseScript } from '../postgres/parser.js';
import type { Session } from '../postgres/session.js';

export interface IndexState {
  /** Quoted and qualified. */
  name: string;
  valid: boolean;
  /** As pg_get_indexdef() writes it. */
  definition: string;
}

/** Looks up, in its table's schema, the index that a CREATE INDEX statement names. The table is looked for as the file would. */
export async function indexState(
  session: Session,
  node: { idxname: string; relation: { schemaname?: string; relname: string } },
): Promise<IndexState | undefined> {
  const { schemaname, relname } = node.relation;
  const table = [schemaname, relname]
    .filter((part) => part !== undefined)
    .map((part) => escapeIdentifier(part as string));
  const [found] = await session.query('SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS oid', [table.join('.')]);
  const [row] = await session.reading(() =>
    session.query(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name, i.indisvalid AND i.indisready AS valid, pg_get_indexdef(c.oid) AS definition
     FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relname = $2
       JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.oid = $1`,
      [found.oid, node.idxname],
    ),
  );
  return row;
}

/** True when an index has the definition that a CREATE INDEX statement asks for. */
export async function isSameIndex(node: object, definition: string): Promise<boolean> {
  const [made] = await parseScript(definition, 'pg_get_indexdef');
  return canonical(node) === canonical(made?.node);
}

/** What only says how or where the statement was written. */
const IGNORED = new Set([
  'location',
  'concurrent',
  'if_not_exists',
  'schemaname',
  'relpersistence',
  'inh',
  'stmt_location',
  'stmt_len',
]);

function canonical(node: unknown): string {
  return JSON.stringify(node, (key, value) => {
    if (IGNORED.has(key)) return undefined;
    if (value && typeof value === 'object' && !Array.isArray(value)) {
      return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    return value;
  });
}
