import { describedBy, grants, isBroughtAlong, notMember, OURS } from './common.js';

/** Tables, views and materialized views. Most have the same privileges, which are looked up once. */
export const relationsSql = () => `WITH ${OURS}, granted AS MATERIALIZED (
  SELECT relowner, relacl, ${grants('c.relacl', 'r', 'c.relowner')} AS acl
  FROM (SELECT DISTINCT relowner, coalesce(relacl, acldefault('r', relowner)) AS relacl FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')) c)
SELECT c.oid::text AS oid, o.nspname AS schema, c.relname AS name,
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind,
  nullif(c.relpersistence = 'u', false) AS unlogged,
  CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partitionKey", pg_get_expr(c.relpartbound, c.oid) AS "partitionBound",
  (SELECT array_agg(h.inhparent::regclass::text ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid) AS inherits,
  CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS "ofType",
  (SELECT array_agg(option ORDER BY option COLLATE "C") FROM unnest(c.reloptions || ARRAY(SELECT 'toast.' || t FROM unnest(toast.reloptions) t)) option) AS options,
  clustered.relname AS "clusterOn", CASE WHEN c.relrowsecurity THEN CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'enabled' END END AS "rowSecurity",
  CASE WHEN c.relkind IN ('r', 'p') THEN CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
    WHEN 'i' THEN (SELECT 'USING INDEX ' || quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND i.indisreplident) END END AS "replicaIdentity",
  nullif(NOT c.relispopulated, false) AS empty,
  CASE WHEN c.relkind IN ('v', 'm') THEN btrim(pg_get_viewdef(c.oid), E' \\n;') END AS definition,
  e.description AS comment, granted.acl AS grants
FROM pg_class c JOIN ours o ON o.oid = c.relnamespace
JOIN granted ON granted.relowner = c.relowner AND granted.relacl = coalesce(c.relacl, acldefault('r', c.relowner))
${describedBy('pg_class', 'c.oid')}
LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
LEFT JOIN (SELECT i.indrelid, x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indisclustered) clustered ON clustered.indrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND ${notMember('pg_class', 'c.oid')} ORDER BY schema, name`;

const SEQUENCE_OPTIONS = `format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start, s.seqincrement::text AS increment, s.seqmin::text AS min,
  s.seqmax::text AS max, s.seqcache::text AS cache, nullif(s.seqcycle, false) AS cycle`;

/** Its name only where it is not the one that PostgreSQL gives it. Since 17 a partition's column is an identity when its parent's is: said there only. */
const IDENTITY = `CASE WHEN a.attidentity <> '' AND NOT c.relispartition THEN (
    SELECT json_strip_nulls(json_build_object('always', a.attidentity = 'a', 'sequence', (SELECT row_to_json(x) FROM (SELECT ${SEQUENCE_OPTIONS}) x),
      'name', nullif(q.relname::text, c.relname || '_' || a.attname || '_seq'), 'comment', obj_description(q.oid, 'pg_class'),
      'grants', ${grants('q.relacl', 's', 'q.relowner')}))
    FROM pg_depend d JOIN pg_class q ON q.oid = d.objid JOIN pg_sequence s ON s.seqrelid = q.oid
    WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum) END`;

/** true where a column's NOT NULL is so: since 18 it is a constraint. */
const notNullIs = (condition: string, version: number) =>
  version >= 180_000
    ? `CASE WHEN a.attnotnull THEN (SELECT true FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey[1] = a.attnum AND ${condition}) END`
    : 'NULL';

/**
 * Of an expression without columns PostgreSQL need not look its table up, which takes ten times as long. Options that begin with pg_ are the server's
 * own: Debian's 15.20 keeps the version of each column's description in pg_attver.
 */
export const columnsSql = (version: number) => `WITH ${OURS}
SELECT a.attrelid::text AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  pg_get_expr(d.adbin, CASE a.attgenerated WHEN '' THEN 0 ELSE d.adrelid END) AS default,
  CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END AS generated, ${IDENTITY} AS identity,
  CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN a.attcollation::regcollation::text END AS collation,
  CASE WHEN a.attstorage <> t.typstorage AND c.relkind <> 'v' THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END AS storage,
  ${version >= 140_000 ? "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END" : 'NULL'} AS compression,
  nullif(a.attstattarget, -1)::integer AS statistics,
  CASE WHEN a.attoptions IS NOT NULL THEN (SELECT array_agg(option ORDER BY option COLLATE "C") FROM unnest(a.attoptions) option WHERE option NOT LIKE 'pg\\_%') END AS options,
  CASE WHEN a.attinhcount > 0 THEN CASE WHEN a.attislocal THEN 'merged' ELSE 'inherited' END END AS inherited,
  ${notNullIs('NOT k.convalidated', version)} AS "notNullUnchecked", ${notNullIs('k.connoinherit', version)} AS "notNullNoInherit",
  e.description AS comment, CASE WHEN a.attacl IS NOT NULL THEN ${grants('a.attacl', 'c', 'c.relowner')} END AS grants, a.attnotnull AS "notNull"
FROM pg_class c JOIN ours o ON o.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_description e ON e.classoid = 'pg_class'::regclass AND e.objoid = c.oid AND e.objsubid = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND ${notMember('pg_class', 'c.oid')}
ORDER BY a.attrelid, a.attnum`;

/** All but those of identity columns. */
export const sequencesSql = () => `WITH ${OURS}
SELECT o.nspname AS schema, c.relname AS name, ${SEQUENCE_OPTIONS}, nullif(c.relpersistence = 'u', false) AS unlogged,
  d.refobjid::regclass::text || '.' || quote_ident(a.attname) AS "ownedBy", obj_description(c.oid, 'pg_class') AS comment,
  ${grants('c.relacl', 's', 'c.relowner')} AS grants
FROM pg_class c JOIN ours o ON o.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE ${notMember('pg_class', 'c.oid')} AND NOT ${isBroughtAlong('pg_class', 'c.oid')} ORDER BY schema, name`;
