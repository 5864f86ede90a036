import { escapeIdentifier } from 'pg';
import { groupBy } from '../app/group-by.js';
import type { Session } from '../postgres/session.js';
import { decoded, guarded, sendRows } from './guarded.js';
import type { ResolvedRow } from './resolve-rows.js';
import { type Texts, textsSql } from './row-keys.js';

/** Sends the documents' rows, and asks how the server writes each of their values as text, so that it can be compared with what is stored. */
export async function canonicalTexts(session: Session, rows: readonly ResolvedRow[]): Promise<Map<ResolvedRow, Texts>> {
  const byTable = groupBy(rows, ({ table }) => table);
  const sent = [...byTable.values()].flat();
  await sendRows(session, 'kasm_db_documents', sent);
  await session.query('CREATE TEMPORARY TABLE kasm_db_text (n integer, texts jsonb) ON COMMIT DROP');
  let first = 0;
  const statements = [...byTable].map(([table, own]) => {
    const columns = new Set([...table.primaryKey, ...own.flatMap(({ values }) => Object.keys(values))]);
    const numbers = `${first} AND ${first + own.length - 1}`;
    first += own.length;
    return `INSERT INTO pg_temp.kasm_db_text SELECT i.n, ${textsSql('r', [...columns])}
  FROM pg_temp.kasm_db_documents i, json_populate_record(NULL::public.${escapeIdentifier(table.name)}, ${decoded('i.doc')}::json) r
  WHERE i.n BETWEEN ${numbers};`;
  });
  await guarded(session, 'reading the documents', statements.join('\n  '));
  const answers = await session.query<{ n: number; texts: Texts }>('SELECT n, texts FROM pg_temp.kasm_db_text');
  const texts = new Map(answers.map((answer) => [answer.n, answer.texts]));
  return new Map(sent.map((row, n) => [row, texts.get(n) ?? {}]));
}
