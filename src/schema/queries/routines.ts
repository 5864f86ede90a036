import { grants, notMember, OURS } from './common.js';

/** Functions and procedures; not aggregates. */
export const routinesSql = () => `WITH ${OURS}
SELECT o.nspname AS schema, p.proname AS name, CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window function' ELSE 'function' END AS kind,
  (SELECT coalesce(string_agg(format_type(t, NULL), ',' ORDER BY n), '') FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, n)) AS arguments,
  pg_get_functiondef(p.oid) AS definition, obj_description(p.oid, 'pg_proc') AS comment, ${grants('p.proacl', 'f', 'p.proowner')} AS acl
FROM pg_proc p JOIN ours o ON o.oid = p.pronamespace WHERE p.prokind <> 'a' AND ${notMember('pg_proc', 'p.oid')}`;

/** Enums, domains, composite types that are no table's. */
export const typesSql = () => `WITH ${OURS}
SELECT o.nspname AS schema, t.typname AS name, CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' ELSE 'composite' END AS kind,
  (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'collation',
       CASE WHEN a.attcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = a.atttypid)) THEN a.attcollation::regcollation::text END) ORDER BY a.attnum)
     FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes,
  CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
  CASE WHEN t.typtype = 'd' AND t.typcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = t.typbasetype)) THEN t.typcollation::regcollation::text END AS collation,
  CASE WHEN t.typtype = 'd' THEN coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) END AS default, t.typtype = 'd' AND t.typnotnull AS "notNull",
  (SELECT json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)))
     FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS constraints,
  obj_description(t.oid, 'pg_type') AS comment, ${grants('t.typacl', 'T', 't.typowner')} AS acl
FROM pg_type t JOIN ours o ON o.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd') OR (t.typtype = 'c' AND c.relkind = 'c')) AND ${notMember('pg_type', 't.oid')}`;

/**
 * Which object has to be there before which other one. Foreign keys and checks don't count: they are made when all tables are there; and a
 * sequence is made before the table that it belongs to.
 */
export const dependenciesSql = () => `WITH ${OURS},
unit AS (
  SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid,
    CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || o.nspname || '.' || c.relname AS id
  FROM pg_class c JOIN ours o ON o.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND ${notMember('pg_class', 'c.oid')}
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'routine ' || o.nspname || '.' || p.proname || '('
    || (SELECT coalesce(string_agg(format_type(t, NULL), ',' ORDER BY n), '') FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, n)) || ')'
  FROM pg_proc p JOIN ours o ON o.oid = p.pronamespace WHERE p.prokind <> 'a' AND ${notMember('pg_proc', 'p.oid')}
  UNION ALL SELECT 'pg_type'::regclass, t.oid, 'type ' || o.nspname || '.' || t.typname
  FROM pg_type t JOIN ours o ON o.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('e', 'd') OR c.relkind = 'c') AND ${notMember('pg_type', 't.oid')}
), part AS (
  SELECT classid, objid, id FROM unit
  UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, u.id FROM pg_index i JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = i.indrelid
    WHERE EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, u.id FROM pg_attrdef d JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = d.adrelid
  UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, u.id FROM pg_rewrite r JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = r.ev_class
    WHERE r.rulename = '_RETURN'
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, u.id FROM pg_constraint k JOIN unit u
    ON (u.classid = 'pg_class'::regclass AND u.objid = k.conrelid AND k.contype IN ('p', 'u', 'x')) OR (u.classid = 'pg_type'::regclass AND u.objid = k.contypid)
  UNION ALL SELECT 'pg_class'::regclass, t.typrelid, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_type'::regclass AND u.objid = t.oid WHERE t.typrelid <> 0
  UNION ALL SELECT 'pg_type'::regclass, t.oid, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = t.typrelid
  UNION ALL SELECT 'pg_type'::regclass, t.typarray, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_type'::regclass AND u.objid = t.oid WHERE t.typarray <> 0
  UNION ALL SELECT 'pg_type'::regclass, t.typarray, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = t.typrelid WHERE t.typarray <> 0
)
SELECT DISTINCT a.id AS dependent, b.id AS needed
FROM pg_depend d JOIN part a ON a.classid = d.classid AND a.objid = d.objid JOIN part b ON b.classid = d.refclassid AND b.objid = d.refobjid
WHERE a.id <> b.id AND a.id NOT LIKE 'sequence %' AND d.deptype IN ('n', 'a', 'i', 'P', 'S')`;
