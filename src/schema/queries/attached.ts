import { OURS } from './common.js';

/** Without those that PostgreSQL makes for constraints, and for partitions where they are enabled as on the whole table. */
export const triggersSql = () => `WITH ${OURS}
SELECT t.tgrelid::text AS oid, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition,
  CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' ELSE 'origin' END AS enabled,
  nullif(u.oid IS NOT NULL, false) AS inherited, obj_description(t.oid, 'pg_trigger') AS comment
FROM pg_trigger t LEFT JOIN pg_trigger u ON u.oid = t.tgparentid JOIN pg_class c ON c.oid = t.tgrelid JOIN ours o ON o.oid = c.relnamespace
WHERE CASE t.tgparentid WHEN 0 THEN NOT t.tgisinternal ELSE u.tgconstrrelid = 0 AND t.tgenabled <> u.tgenabled END ORDER BY name`;

export const policiesSql = () => `WITH ${OURS}
SELECT p.polrelid::text AS oid, p.polname AS name, p.polpermissive AS permissive,
  CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END AS command,
  (SELECT json_agg(role ORDER BY role) FROM (SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END AS role FROM unnest(p.polroles) r) x) AS roles,
  pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check, obj_description(p.oid, 'pg_policy') AS comment
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN ours o ON o.oid = c.relnamespace ORDER BY name`;

/** PostgreSQL names columns in the order of their table, which says nothing. @param order of the columns */
const statisticsOn = (order: string) =>
  `concat(' ON ', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY ${order}) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (s.stxkeys)))`;

/** Rules but those that make a view, and extended statistics. */
export const attachmentsSql = () => `WITH ${OURS}
SELECT r.ev_class::text AS oid, 'rule' AS kind, r.rulename AS name, NULL AS schema, rtrim(pg_get_ruledef(r.oid), ';') AS definition,
  CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END AS enabled, obj_description(r.oid, 'pg_rewrite') AS comment
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN ours o ON o.oid = c.relnamespace WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT s.stxrelid::text, 'statistics', s.stxname, (SELECT nspname FROM pg_namespace WHERE oid = nullif(s.stxnamespace, c.relnamespace)), replace(pg_get_statisticsobjdef(s.oid), ${statisticsOn('a.attnum')}, ${statisticsOn('a.attname')}), NULL, obj_description(s.oid, 'pg_statistic_ext')
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN ours o ON o.oid = c.relnamespace ORDER BY name`;
