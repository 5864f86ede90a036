import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Session } from '../postgres/session.js';
import type { Table } from './catalog.js';
import { guarded } from './guarded.js';
import type { ResolvedRow } from './resolve-rows.js';
import { DOCUMENTS, decoded, sendRows } from './send-rows.js';
import { type Texts, textsSql } from './texts.js';

/** Sends the documents' rows, and asks how the server writes each of their values as text, so that it can be compared with what is stored. */
export async function canonicalTexts(session: Session, rows: readonly ResolvedRow[]): Promise<Map<ResolvedRow, Texts>> {
  await sendRows(
    session,
    DOCUMENTS,
    rows.map(({ n, table, values }) => ({ n, target: table.name, values })),
  );
  await session.query('CREATE TEMPORARY TABLE kasm_db_text (n integer, texts jsonb) ON COMMIT DROP');
  const statements = [...columnsOf(rows)].map(
    ([{ name }, columns]) => `INSERT INTO pg_temp.kasm_db_text SELECT i.n, ${textsSql('r', [...columns])}
  FROM pg_temp.${DOCUMENTS} i, json_populate_record(NULL::public.${escapeIdentifier(name)}, ${decoded('i.doc')}::json) r
  WHERE ${decoded('i.target')} = ${escapeLiteral(name)};`,
  );
  await guarded(session, 'reading the documents', statements.join('\n  '));
  const answers = await session.query<{ n: number; texts: Texts }>('SELECT n, texts FROM pg_temp.kasm_db_text');
  const texts = new Map(answers.map((answer) => [answer.n, answer.texts]));
  return new Map(rows.map((row) => [row, texts.get(row.n) ?? {}]));
}

/** The columns that rows give, and those of the primary key. */
function columnsOf(rows: readonly ResolvedRow[]): Map<Table, Set<string>> {
  const columns = new Map<Table, Set<string>>();
  for (const { table, values } of rows) {
    const names = columns.get(table) ?? new Set(table.primaryKey);
    for (const name of Object.keys(values)) names.add(name);
    columns.set(table, names);
  }
  return columns;
}
