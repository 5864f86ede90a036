import { grants, notMember, OURS } from './common.js';

export const schemasSql = () => `WITH ${OURS}
SELECT n.nspname AS name, obj_description(n.oid, 'pg_namespace') AS comment, ${grants('n.nspacl', 'n', 'n.nspowner')} AS acl
FROM pg_namespace n JOIN ours o ON o.oid = n.oid`;

export const extensionsSql = () => `SELECT e.extname AS name, n.nspname AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`;

/** Where the locale of an ICU collation is kept has changed twice. */
const locale = (version: number) => {
  if (version >= 170_000) return 'c.colllocale';
  return version >= 150_000 ? 'c.colliculocale' : "CASE c.collprovider WHEN 'i' THEN c.collcollate::text END";
};

export const collationsSql = (version: number) => `WITH ${OURS}
SELECT o.nspname AS schema, c.collname AS name, c.collprovider AS provider, c.collcollate::text AS collate, c.collctype::text AS ctype,
  ${locale(version)} AS locale, c.collisdeterministic AS deterministic, ${version >= 160_000 ? 'c.collicurules' : 'NULL'} AS rules,
  obj_description(c.oid, 'pg_collation') AS comment
FROM pg_collation c JOIN ours o ON o.oid = c.collnamespace WHERE ${notMember('pg_collation', 'c.oid')}`;

/** What can be in a database and is only named. */
export const othersSql = () => `WITH ${OURS}
SELECT 'aggregate' AS kind, p.oid::regprocedure::text AS name FROM pg_proc p JOIN ours o ON o.oid = p.pronamespace
  WHERE p.prokind = 'a' AND ${notMember('pg_proc', 'p.oid')}
UNION ALL SELECT 'foreign table', c.oid::regclass::text FROM pg_class c JOIN ours o ON o.oid = c.relnamespace
  WHERE c.relkind = 'f' AND ${notMember('pg_class', 'c.oid')}
UNION ALL SELECT CASE t.typtype WHEN 'b' THEN 'base type' ELSE 'range type' END, format_type(t.oid, NULL)
  FROM pg_type t JOIN ours o ON o.oid = t.typnamespace
  WHERE t.typtype IN ('b', 'r') AND NOT (t.typtype = 'b' AND t.typelem <> 0) AND ${notMember('pg_type', 't.oid')}
UNION ALL SELECT 'operator', p.oid::regoperator::text FROM pg_operator p JOIN ours o ON o.oid = p.oprnamespace WHERE ${notMember('pg_operator', 'p.oid')}
UNION ALL SELECT 'operator class', c.opcname::text FROM pg_opclass c JOIN ours o ON o.oid = c.opcnamespace WHERE ${notMember('pg_opclass', 'c.oid')}
UNION ALL SELECT 'text search configuration', c.oid::regconfig::text FROM pg_ts_config c JOIN ours o ON o.oid = c.cfgnamespace
  WHERE ${notMember('pg_ts_config', 'c.oid')}
UNION ALL SELECT 'cast', format('%s AS %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) FROM pg_cast c
  WHERE c.oid >= 16384 AND ${notMember('pg_cast', 'c.oid')}
UNION ALL SELECT 'event trigger', e.evtname::text FROM pg_event_trigger e WHERE ${notMember('pg_event_trigger', 'e.oid')}
UNION ALL SELECT 'publication', p.pubname::text FROM pg_publication p
UNION ALL SELECT 'foreign server', s.srvname::text FROM pg_foreign_server s WHERE ${notMember('pg_foreign_server', 's.oid')}`;
