import { isTrusted, ME } from '../../postgres/trusted.js';
import { argumentTypes, idPart, isBroughtAlong, notMember, OURS } from './common.js';

/** Objects that the model only names: by catalog, oid, kind and name. */
const OTHERS = `SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid, 'foreign table' AS kind, c.oid::regclass::text AS name
  FROM pg_class c JOIN ours o ON o.oid = c.relnamespace WHERE c.relkind = 'f' AND ${notMember('pg_class', 'c.oid')}
UNION ALL SELECT 'pg_type'::regclass, t.oid, CASE WHEN t.typisdefined THEN 'base type' ELSE 'shell type' END, format_type(t.oid, NULL) FROM pg_type t JOIN ours o ON o.oid = t.typnamespace
  WHERE t.typtype IN ('b', 'p') AND t.typelem = 0 AND ${notMember('pg_type', 't.oid')}
UNION ALL SELECT 'pg_operator'::regclass, p.oid, 'operator', p.oid::regoperator::text FROM pg_operator p JOIN ours o ON o.oid = p.oprnamespace
  WHERE p.oprcode <> 0 AND ${notMember('pg_operator', 'p.oid')}
UNION ALL SELECT 'pg_opclass'::regclass, c.oid, 'operator class', quote_ident(o.nspname) || '.' || quote_ident(c.opcname) || ' USING ' || m.amname
  FROM pg_opclass c JOIN ours o ON o.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod WHERE ${notMember('pg_opclass', 'c.oid')}
UNION ALL SELECT 'pg_ts_config'::regclass, c.oid, 'text search configuration', c.oid::regconfig::text FROM pg_ts_config c
  JOIN ours o ON o.oid = c.cfgnamespace WHERE ${notMember('pg_ts_config', 'c.oid')}
UNION ALL SELECT 'pg_ts_dict'::regclass, c.oid, 'text search dictionary', c.oid::regdictionary::text FROM pg_ts_dict c
  JOIN ours o ON o.oid = c.dictnamespace WHERE ${notMember('pg_ts_dict', 'c.oid')}
UNION ALL SELECT 'pg_opfamily'::regclass, f.oid, 'operator family', quote_ident(o.nspname) || '.' || quote_ident(f.opfname) || ' USING ' || m.amname
  FROM pg_opfamily f JOIN ours o ON o.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
  WHERE ${notMember('pg_opfamily', 'f.oid')} AND NOT EXISTS (SELECT FROM pg_opclass c WHERE c.opcfamily = f.oid)
UNION ALL SELECT 'pg_ts_parser'::regclass, c.oid, 'text search parser', quote_ident(o.nspname) || '.' || quote_ident(c.prsname) FROM pg_ts_parser c
  JOIN ours o ON o.oid = c.prsnamespace WHERE ${notMember('pg_ts_parser', 'c.oid')}
UNION ALL SELECT 'pg_ts_template'::regclass, c.oid, 'text search template', quote_ident(o.nspname) || '.' || quote_ident(c.tmplname) FROM pg_ts_template c
  JOIN ours o ON o.oid = c.tmplnamespace WHERE ${notMember('pg_ts_template', 'c.oid')}
UNION ALL SELECT 'pg_conversion'::regclass, c.oid, 'conversion', quote_ident(o.nspname) || '.' || quote_ident(c.conname) FROM pg_conversion c
  JOIN ours o ON o.oid = c.connamespace WHERE ${notMember('pg_conversion', 'c.oid')}
UNION ALL SELECT 'pg_am'::regclass, a.oid, 'access method', quote_ident(a.amname) FROM pg_am a WHERE a.oid >= 16384 AND ${notMember('pg_am', 'a.oid')}
UNION ALL SELECT 'pg_language'::regclass, l.oid, 'language', quote_ident(l.lanname) FROM pg_language l
  WHERE l.oid >= 16384 AND ${notMember('pg_language', 'l.oid')}
UNION ALL SELECT 'pg_transform'::regclass, t.oid, 'transform', format('FOR %s LANGUAGE %I', format_type(t.trftype, NULL), l.lanname)
  FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE t.oid >= 16384 AND ${notMember('pg_transform', 't.oid')}
UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 'foreign-data wrapper', quote_ident(w.fdwname) FROM pg_foreign_data_wrapper w
  WHERE ${notMember('pg_foreign_data_wrapper', 'w.oid')}
UNION ALL SELECT 'pg_cast'::regclass, c.oid, 'cast', format('%s AS %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL))
  FROM pg_cast c WHERE c.oid >= 16384 AND ${notMember('pg_cast', 'c.oid')} AND NOT ${isBroughtAlong('pg_cast', 'c.oid')}
UNION ALL SELECT 'pg_event_trigger'::regclass, e.oid, 'event trigger', e.evtname::text FROM pg_event_trigger e
  WHERE ${notMember('pg_event_trigger', 'e.oid')}
UNION ALL SELECT 'pg_publication'::regclass, p.oid, 'publication', p.pubname::text FROM pg_publication p
UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, 'foreign server', s.srvname::text FROM pg_foreign_server s
  WHERE ${notMember('pg_foreign_server', 's.oid')}`;

export const othersSql = () =>
  `WITH ${OURS} SELECT kind, name FROM (${OTHERS}) other ORDER BY kind COLLATE "C", name COLLATE "C"`;

/**
 * `unit`: objects that are made by a statement of their own, by catalog, oid and id. `part`: what comes with one. `key`: primary keys, unique and
 * exclusion constraints and their indexes, which belong to their table, but have an id too.
 * @param version of the server: before 14 there are no multiranges
 */
const UNITS = (version: number) => `unit AS (
  SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid,
    CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || ${idPart('o.nspname')} || '.' || ${idPart('c.relname')} AS id
  FROM pg_class c JOIN ours o ON o.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND ${notMember('pg_class', 'c.oid')}
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'routine ' || ${idPart('o.nspname')} || '.' || ${idPart('p.proname')} || '(' || ${argumentTypes('p')} || ')'
  FROM pg_proc p JOIN ours o ON o.oid = p.pronamespace WHERE ${notMember('pg_proc', 'p.oid')} AND NOT ${isBroughtAlong('pg_proc', 'p.oid')}
  UNION ALL SELECT 'pg_type'::regclass, t.oid, 'type ' || ${idPart('o.nspname')} || '.' || ${idPart('t.typname')}
  FROM pg_type t JOIN ours o ON o.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND ${notMember('pg_type', 't.oid')}
), made_type AS (
  SELECT t.oid, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_type'::regclass AND u.objid = t.oid
  UNION ALL SELECT t.oid, u.id FROM pg_type t JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = t.typrelid
  ${version >= 140_000 ? "UNION ALL SELECT r.rngmultitypid, u.id FROM pg_range r JOIN unit u ON u.classid = 'pg_type'::regclass AND u.objid = r.rngtypid" : ''}
), part AS (
  SELECT classid, objid, id FROM unit
  UNION ALL SELECT 'pg_type'::regclass, oid, id FROM made_type
  UNION ALL SELECT 'pg_type'::regclass, t.typarray, m.id FROM pg_type t JOIN made_type m ON m.oid = t.oid WHERE t.typarray <> 0
  UNION ALL SELECT 'pg_class'::regclass, t.typrelid, m.id FROM pg_type t JOIN made_type m ON m.oid = t.oid WHERE t.typrelid <> 0
  UNION ALL SELECT 'pg_proc'::regclass, d.objid, m.id FROM pg_depend d JOIN made_type m ON m.oid = d.refobjid
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i'
  UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, u.id FROM pg_attrdef d JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = d.adrelid
  UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, u.id FROM pg_rewrite r JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = r.ev_class
    WHERE r.rulename = '_RETURN'
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, u.id FROM pg_constraint k JOIN unit u ON u.classid = 'pg_type'::regclass AND u.objid = k.contypid
), key AS (
  SELECT k.oid, k.conindid, u.id AS owner, 'constraint ' || substr(u.id, 7) || '.' || ${idPart('k.conname')} AS id FROM pg_constraint k
  JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = k.conrelid WHERE k.contype IN ('p', 'u', 'x')
)`;

/** What a dependency in pg_depend means for the order in which objects are made. */
const NEEDS = "d.deptype IN ('n', 'a', 'i', 'P', 'S')";

/**
 * Which object has to be there before which other one. Foreign keys and checks don't count: they are made when all tables are there; and a
 * sequence is made before the table that it belongs to.
 */
export const dependenciesSql = (version: number) => `WITH ${OURS}, ${UNITS(version)}, whole AS (
  SELECT classid, objid, id FROM part
  UNION ALL SELECT 'pg_constraint'::regclass, oid, owner FROM key
  UNION ALL SELECT 'pg_class'::regclass, conindid, owner FROM key
)
SELECT a.id AS dependent, array_agg(DISTINCT b.id COLLATE "C" ORDER BY b.id COLLATE "C") AS needed
FROM pg_depend d JOIN whole a ON a.classid = d.classid AND a.objid = d.objid JOIN whole b ON b.classid = d.refclassid AND b.objid = d.refobjid
WHERE a.id <> b.id AND a.id NOT LIKE 'sequence %' AND ${NEEDS} GROUP BY 1`;

/** Whose the units are: `owner`, by catalog and oid. */
const OWNERS = `(SELECT 'pg_class'::regclass::oid AS classid, oid AS objid, relowner AS owner FROM pg_class
    UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
    UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type)`;

/** Units of other roles. @param own their OIDs, as SQL */
export const unitsNotOfSql = (version: number, own: string) => `WITH ${OURS}, ${UNITS(version)}
SELECT u.id FROM unit u JOIN ${OWNERS} w USING (classid, objid) WHERE w.owner NOT IN (${own})`;

/** What belongs to a role that is not trusted (postgres/trusted.ts), one node for each such role; see OTHERS. */
const STRANGERS = `SELECT u.classid, u.objid, 'objects of role' AS kind, quote_ident(pg_get_userbyid(w.owner)) AS name FROM unit u
  JOIN ${OWNERS} w USING (classid, objid) CROSS JOIN ${ME} me
  WHERE NOT ${isTrusted('w.owner')}`;

/** Which objects, and which parts of tables and views, cannot be made without one that the model only names; directly or not. */
export const neededOthersSql = (version: number) => neededSql(version, OTHERS);

/** The same of what other roles have made, with their objects themselves. */
export const neededStrangersSql = (version: number) => neededSql(version, STRANGERS);

/** @param others objects by catalog, oid, kind and name, as SQL */
const neededSql = (
  version: number,
  others: string,
) => `WITH RECURSIVE ${OURS}, ${UNITS(version)}, other AS (${others}), loose AS (
  SELECT classid, objid, id FROM part
  UNION ALL SELECT 'pg_constraint'::regclass, oid, id FROM key
  UNION ALL SELECT 'pg_class'::regclass, conindid, id FROM key
  UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, 'index ' || regexp_replace(u.id, '^\\w+ ', '') || '.' || ${idPart('c.relname')}
    FROM pg_index i JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indexrelid NOT IN (SELECT conindid FROM key)
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 'constraint ' || substr(u.id, 7) || '.' || ${idPart('k.conname')}
    FROM pg_constraint k JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = k.conrelid WHERE k.contype IN ('c', 'f')
  UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 'trigger ' || regexp_replace(u.id, '^\\w+ ', '') || '.' || ${idPart('t.tgname')}
    FROM pg_trigger t JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL SELECT 'pg_policy'::regclass, p.oid, 'policy ' || substr(u.id, 7) || '.' || ${idPart('p.polname')}
    FROM pg_policy p JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = p.polrelid
  UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, 'rule ' || regexp_replace(u.id, '^\\w+ ', '') || '.' || ${idPart('r.rulename')}
    FROM pg_rewrite r JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = r.ev_class WHERE r.rulename <> '_RETURN'
  UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, 'statistics ' || substr(u.id, 7) || '.' || ${idPart('s.stxname')}
    FROM pg_statistic_ext s JOIN unit u ON u.classid = 'pg_class'::regclass AND u.objid = s.stxrelid
), named AS (
  SELECT classid, objid, id FROM loose
  UNION ALL SELECT classid, objid, kind || ' ' || name FROM other
  UNION ALL SELECT 'pg_type'::regclass, t.typarray, x.kind || ' ' || x.name FROM other x JOIN pg_type t ON t.oid = x.objid
    WHERE x.classid = 'pg_type'::regclass AND t.typarray <> 0
  UNION ALL SELECT 'pg_type'::regclass, t.oid, x.kind || ' ' || x.name FROM other x JOIN pg_type t ON t.typrelid = x.objid
    WHERE x.classid = 'pg_class'::regclass
), edge AS (
  SELECT DISTINCT a.id AS dependent, b.id AS needed
  FROM pg_depend d JOIN named a ON a.classid = d.classid AND a.objid = d.objid JOIN named b ON b.classid = d.refclassid AND b.objid = d.refobjid
  WHERE a.id <> b.id AND ${NEEDS}
), needed AS (
  SELECT x.kind, x.name, e.dependent FROM other x JOIN edge e ON e.needed = x.kind || ' ' || x.name
  UNION SELECT x.kind, x.name, l.id FROM other x JOIN loose l USING (classid, objid)
  UNION SELECT n.kind, n.name, e.dependent FROM needed n JOIN edge e ON e.needed = n.dependent
)
SELECT o.kind, o.name, array_agg(n.dependent ORDER BY n.dependent COLLATE "C") FILTER (WHERE n.dependent IS NOT NULL) AS "neededBy"
FROM (SELECT DISTINCT kind, name FROM other) o LEFT JOIN needed n ON n.kind = o.kind AND n.name = o.name
  AND n.dependent NOT IN (SELECT kind || ' ' || name FROM other)
GROUP BY 1, 2 ORDER BY o.kind COLLATE "C", o.name COLLATE "C"`;
