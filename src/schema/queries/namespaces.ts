import { grants, notMember, OURS } from './common.js';

/** Without public: who may create there depends on the server's version; kasm-db bootstrap and operators set it. */
export const schemasSql = () => `WITH ${OURS}
SELECT n.nspname AS name, obj_description(n.oid, 'pg_namespace') AS comment, ${grants('n.nspacl', 'n', 'n.nspowner')} AS grants
FROM pg_namespace n JOIN ours o ON o.oid = n.oid WHERE n.nspname <> 'public' ORDER BY name`;

export const extensionsSql = () => `SELECT e.extname AS name, n.nspname AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY name`;

/** Where the locale of an ICU collation is kept has changed twice. */
const locale = (version: number) => {
  if (version >= 170_000) return 'c.colllocale';
  return version >= 150_000 ? 'c.colliculocale' : "CASE c.collprovider WHEN 'i' THEN c.collcollate::text END";
};

export const collationsSql = (version: number) => `WITH ${OURS}
SELECT o.nspname AS schema, c.collname AS name, concat_ws(', ',
    CASE c.collprovider WHEN 'i' THEN 'provider = icu' WHEN 'b' THEN 'provider = builtin' ELSE 'provider = libc' END,
    CASE WHEN c.collprovider IN ('i', 'b') THEN 'locale = ' || quote_literal(${locale(version)})
      ELSE format('lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype) END,
    CASE WHEN NOT c.collisdeterministic THEN 'deterministic = false' END,
    'rules = ' || quote_literal(${version >= 160_000 ? "nullif(c.collicurules, '')" : 'NULL'})) AS options,
  obj_description(c.oid, 'pg_collation') AS comment
FROM pg_collation c JOIN ours o ON o.oid = c.collnamespace WHERE ${notMember('pg_collation', 'c.oid')} ORDER BY schema, name`;
