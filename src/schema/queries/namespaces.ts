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
