import { escapeIdentifier, escapeLiteral } from 'pg';

/** Values of a row as the server writes them, by column. */
export type Texts = Record<string, string | null>;

/** A function call takes at most 100 arguments. */
const PAIRS_A_CALL = 40;

/** SQL that makes Texts, as jsonb. @param alias of the row */
export function textsSql(alias: string, columns: readonly string[]): string {
  const pairs = columns.map((column) => `${escapeLiteral(column)}, ${alias}.${escapeIdentifier(column)}::text`);
  const parts: string[] = [];
  for (let i = 0; i < pairs.length; i += PAIRS_A_CALL)
    parts.push(`jsonb_build_object(${pairs.slice(i, i + PAIRS_A_CALL).join(', ')})`);
  return parts.join(' || ');
}
