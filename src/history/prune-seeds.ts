import { SEEDED_BY_PROGRAM } from './run-row.js';

/**
 * SQL that takes out of the record of seeds what is not in the catalog any more, after a rollback: a table that comes back is seeded again, and so
 * is a column (its fingerprint becomes that of null, as a new column's is). The digest goes too, so that no gate takes the database for seeded.
 */
export const PRUNE_SEEDS_SQL = `UPDATE kasm_db.run SET seed_digest = NULL WHERE EXISTS (SELECT FROM kasm_db.seeds s
    WHERE to_regclass('public.' || quote_ident(s.table_name)) IS NULL OR EXISTS (SELECT FROM jsonb_object_keys(s.columns) k WHERE NOT ${there('k')}));
DELETE FROM kasm_db.seeds WHERE to_regclass('public.' || quote_ident(table_name)) IS NULL;
UPDATE kasm_db.seeds s SET columns = (SELECT jsonb_object_agg(c.key, CASE WHEN ${there('c.key')} THEN c.value
    ELSE c.value || jsonb_build_object('print', encode(sha256(convert_to(s.salt || 'n', 'UTF8')), 'hex')) END) FROM jsonb_each(s.columns) c)
  WHERE EXISTS (SELECT FROM jsonb_object_keys(s.columns) k WHERE NOT ${there('k')})`;

/** SQL that does the same for what a program has seeded, whose tables nobody knows: it is gone when all migrations are. */
export const PRUNE_PROGRAM_SEED_SQL = `UPDATE kasm_db.run SET seed_digest = NULL
  WHERE seed_digest LIKE '%:${SEEDED_BY_PROGRAM}' AND NOT EXISTS (SELECT FROM kasm_db.migrations)`;

function there(column: string): string {
  return `EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass('public.' || quote_ident(s.table_name))
    AND a.attname = ${column} AND NOT a.attisdropped)`;
}
