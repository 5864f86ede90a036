import { escapeIdentifier, escapeLiteral } from 'pg';
import { type ParsedStatement, parseScript } from '../postgres/parser.js';
import { isServerError } from '../postgres/server-error.js';
import type { Session } from '../postgres/session.js';
import { tokensOf } from '../postgres/statements.js';

export interface IndexState {
  oid: number;
  /** Quoted and qualified. */
  name: string;
  /** Its table, quoted and qualified. */
  table: string;
  valid: boolean;
}

/** Looks up the index of its table that a CREATE INDEX statement names. The table is looked for as the file would. */
export async function indexState(
  session: Session,
  node: { idxname: string; relation: { schemaname?: string; relname: string } },
): Promise<IndexState | undefined> {
  const table = await oidOf(session, node.relation);
  const [row] = await session.reading(() =>
    session.query(
      `SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, format('%I.%I', n.nspname, t.relname) AS table, i.indisvalid AND i.indisready AS valid
     FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relname = $2
       JOIN pg_index i ON i.indexrelid = c.oid AND i.indrelid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.oid = $1`,
      [table, node.idxname],
    ),
  );
  return row;
}

/** What an interrupted REINDEX CONCURRENTLY leaves, by the names that PostgreSQL gives it (its manual, REINDEX), and that nobody is building. */
const REINDEX_LEFTOVERS_SQL = `WITH given AS (SELECT $1::oid AS oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass))
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname !~ '^pg_'
  AND pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database() AND p.relid = i.indrelid)
  AND ($1::oid IS NULL OR i.indrelid IN (SELECT oid FROM given UNION SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT oid FROM given)))
  AND ($2::text IS NULL OR n.nspname = $2)
ORDER BY 1`;

interface ReindexNode {
  kind: string;
  /** Of an index or a table. */
  relation?: { schemaname?: string; relname: string };
  /** Of a schema or a database. */
  name?: string;
  params?: { DefElem: { defname: string } }[];
}

/** Before it runs again: each attempt would leave one more, which every write to the table has to maintain. */
export async function dropReindexLeftovers(session: Session, node: ReindexNode): Promise<void> {
  const { kind, relation, name, params = [] } = node;
  if (!params.some(({ DefElem }) => DefElem.defname === 'concurrently')) return;
  const oid = relation ? await oidOf(session, relation) : null;
  if (relation && oid === null) return;
  const schema = kind === 'REINDEX_OBJECT_SCHEMA' ? name : null;
  const left = await session.reading(() => session.query<{ name: string }>(REINDEX_LEFTOVERS_SQL, [oid, schema]));
  for (const index of left) await session.script(`DROP INDEX CONCURRENTLY ${index.name}`);
}

/** Looked for as the file would. @returns null: it is not there */
async function oidOf(
  session: Session,
  { schemaname, relname }: { schemaname?: string; relname: string },
): Promise<number | null> {
  const parts = [schemaname, relname].filter((part) => part !== undefined).map((part) => escapeIdentifier(part));
  const [found] = await session.query('SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS oid', [parts.join('.')]);
  return found.oid;
}

/**
 * Is this index the one that the statement makes? PostgreSQL keeps expressions in words of its own (their types, where functions stand), so the statement is
 * run once more, on an empty table with the same columns, in a transaction that is rolled back.
 */
export async function isMadeBy(session: Session, statement: ParsedStatement, index: IndexState): Promise<boolean> {
  const { idxname, relation } = statement.node;
  const copy = escapeIdentifier(relation.relname);
  const sql = await onTable(statement, `pg_temp.${copy}`);
  await session.beginStatement(0);
  try {
    await session.script(
      `CREATE TEMPORARY TABLE ${copy} (LIKE ${index.table}); ${sql}\n; ${session.forUsInStatement()}`,
    );
    const made = escapeLiteral(`pg_temp.${escapeIdentifier(idxname)}`);
    const [definitions] = await session.query(
      `SELECT pg_get_indexdef(${index.oid}) AS there, pg_get_indexdef(to_regclass(${made})) AS made`,
    );
    return (await canonical(definitions.there)) === (await canonical(definitions.made));
  } catch (error) {
    // Without the privilege to make a temporary table nobody can say.
    if (!isServerError(error)) throw error;
    return false;
  } finally {
    await session.rollbackStatement();
  }
}

/** The statement for another table, and in a transaction: without CONCURRENTLY. */
async function onTable({ sql }: ParsedStatement, table: string): Promise<string> {
  const [parsed] = await parseScript(sql, 'CREATE INDEX');
  const named = Buffer.from(sql).toString('utf8', 0, parsed?.node.relation.location).length;
  const tokens = [...tokensOf(sql)];
  const first = tokens.findIndex(({ start }) => start === named);
  let last = first;
  while (tokens[last + 1]?.text === '.') last += 2;
  const concurrently = tokens.find(({ text }) => text.toLowerCase() === 'concurrently');
  const before = sql.slice(0, concurrently?.start) + sql.slice(concurrently?.end, named);
  return `${before}${table}${sql.slice(tokens[last]?.end)}`;
}

/** What only says where something stands, in the text or in the database. */
const PLACE = /^(?:schemaname|relpersistence|.*location|.*_(?:start|end|len))$/;

async function canonical(definition: string): Promise<string> {
  const [{ node } = { node: undefined }] = await parseScript(definition, 'pg_get_indexdef');
  return JSON.stringify(node, (key, value) => (PLACE.test(key) ? undefined : value));
}
