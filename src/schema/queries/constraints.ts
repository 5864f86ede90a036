import { columnNames, describedBy, OURS } from './common.js';

/** pg_get_constraintdef() leaves out the storage parameters of a key's index. */
const definition = `(SELECT CASE WHEN k.contype NOT IN ('p', 'u') OR x.reloptions IS NULL THEN pg_get_constraintdef(k.oid)
    ELSE regexp_replace(pg_get_constraintdef(k.oid), '^(.*\\))( DEFERRABLE.*)?$', format('\\1 WITH (%s)\\2',
      (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, position('=' IN o) + 1)), ', ') FROM unnest(x.reloptions) o))) END
  FROM (SELECT) one LEFT JOIN pg_class x ON x.oid = k.conindid)`;

/**
 * Constraints of tables, without those that come from a parent, and without PostgreSQL 18's named NOT NULL: that is a property of the
 * column.
 */
export const constraintsSql = () => `WITH ${OURS}
SELECT k.conrelid::text AS oid, k.conname AS name,
  CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check' ELSE 'exclusion' END AS kind,
  ${definition} AS definition, ${columnNames('k.conrelid', 'k.conkey')} AS columns,
  CASE k.contype WHEN 'f' THEN json_build_object('schema', fn.nspname, 'table', f.relname, 'columns', ${columnNames('k.confrelid', 'k.confkey')}) END AS references,
  (SELECT true FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgisinternal AND t.tgenabled = 'D' LIMIT 1) AS disabled,
  e.description AS comment
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN ours o ON o.oid = c.relnamespace
LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
${describedBy('pg_constraint', 'k.oid')}
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0 AND NOT (k.coninhcount > 0 AND NOT k.conislocal) ORDER BY name`;

/**
 * Indexes that are no constraint's, without those of a partition that belong to the whole table's. That of a partitioned table is written ON ONLY; without
 * it, it is made on the partitions too.
 */
export const indexesSql = () => `WITH ${OURS}
SELECT i.indrelid::text AS oid, c.relname AS name,
  CASE WHEN c.relkind = 'I' AND i.indisvalid AND i.indisready THEN regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    ELSE pg_get_indexdef(i.indexrelid) END AS definition, m.amname AS method,
  (SELECT json_agg(pg_get_indexdef(i.indexrelid, n, false) ORDER BY n) FROM generate_series(1, i.indnatts) n) AS columns, e.description AS comment,
  i.indisunique AS unique, i.indisvalid AND i.indisready AS valid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ours o ON o.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
${describedBy('pg_class', 'c.oid')}
WHERE NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) ORDER BY name`;
