import { argumentTypes, grants, isBroughtAlong, notMember, OURS, routineName } from './common.js';

const MODIFY = (value: string) =>
  `CASE ${value} WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END`;

/** Options of an aggregate, those that PostgreSQL takes by itself left out; NULLs go in concat_ws(). */
const AGGREGATE_OPTIONS = `(SELECT concat_ws(', ',
    'SFUNC = ' || ${routineName('g.aggtransfn')}, 'STYPE = ' || format_type(g.aggtranstype, NULL), 'SSPACE = ' || nullif(g.aggtransspace, 0),
    'FINALFUNC = ' || ${routineName('g.aggfinalfn')}, CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
    CASE WHEN g.aggfinalmodify <> CASE g.aggkind WHEN 'n' THEN 'r' ELSE 'w' END THEN 'FINALFUNC_MODIFY = ' || ${MODIFY('g.aggfinalmodify')} END,
    'COMBINEFUNC = ' || ${routineName('g.aggcombinefn')}, 'SERIALFUNC = ' || ${routineName('g.aggserialfn')},
    'DESERIALFUNC = ' || ${routineName('g.aggdeserialfn')}, 'INITCOND = ' || quote_literal(g.agginitval),
    'MSFUNC = ' || ${routineName('g.aggmtransfn')}, 'MINVFUNC = ' || ${routineName('g.aggminvtransfn')},
    'MSTYPE = ' || CASE WHEN g.aggmtranstype <> 0 THEN format_type(g.aggmtranstype, NULL) END, 'MSSPACE = ' || nullif(g.aggmtransspace, 0),
    'MFINALFUNC = ' || ${routineName('g.aggmfinalfn')}, CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
    CASE WHEN g.aggmtransfn <> 0 AND g.aggmfinalmodify <> CASE g.aggkind WHEN 'n' THEN 'r' ELSE 'w' END
      THEN 'MFINALFUNC_MODIFY = ' || ${MODIFY('g.aggmfinalmodify')} END,
    'MINITCOND = ' || quote_literal(g.aggminitval),
    'SORTOP = ' || (SELECT format('OPERATOR(%I.%s)', n.nspname, x.oprname) FROM pg_operator x JOIN pg_namespace n ON n.oid = x.oprnamespace
      WHERE x.oid = g.aggsortop),
    'PARALLEL = ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END,
    CASE g.aggkind WHEN 'h' THEN 'HYPOTHETICAL' END)
  FROM pg_aggregate g WHERE g.aggfnoid = p.oid)`;

/** Functions, procedures and aggregates, but those that come with a type. */
export const routinesSql = () => `WITH ${OURS}
SELECT o.nspname AS schema, p.proname AS name,
  CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window function' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
  ${argumentTypes('p')} COLLATE "C" AS arguments,
  CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\\n') ELSE format('CREATE OR REPLACE AGGREGATE %I.%I(%s) (%s)', o.nspname, p.proname,
    CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END, ${AGGREGATE_OPTIONS}) END AS definition,
  obj_description(p.oid, 'pg_proc') AS comment, ${grants('p.proacl', 'f', 'p.proowner')} AS grants
FROM pg_proc p JOIN ours o ON o.oid = p.pronamespace WHERE ${notMember('pg_proc', 'p.oid')} AND NOT ${isBroughtAlong('pg_proc', 'p.oid')}
ORDER BY schema, name, arguments`;

/** The name that PostgreSQL gives a range's multirange, unless it is too long. */
const MULTIRANGE = `CASE WHEN position('range' IN t.typname::text) = 0 THEN t.typname || '_multirange'
  ELSE overlay(t.typname::text PLACING 'multirange' FROM position('range' IN t.typname::text) FOR 5) END`;

/** Enums, domains, ranges, and composite types that are no table's. */
export const typesSql = (version: number) => `WITH ${OURS}
SELECT o.nspname AS schema, t.typname AS name, CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END AS kind,
  (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
  CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
  CASE WHEN t.typtype = 'd' AND t.typcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = t.typbasetype)) THEN t.typcollation::regcollation::text
    WHEN r.rngcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = r.rngsubtype)) THEN r.rngcollation::regcollation::text END AS collation,
  CASE WHEN t.typtype = 'd' THEN coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) END AS default, nullif(t.typtype = 'd' AND t.typnotnull, false) AS "notNull",
  format_type(r.rngsubtype, NULL) AS subtype,
  (SELECT format('%I.%I', n.nspname, c.opcname) FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace
     WHERE c.oid = r.rngsubopc AND NOT c.opcdefault) AS "subtypeOpclass",
  ${routineName('r.rngcanonical')} AS canonical, ${routineName('r.rngsubdiff')} AS "subtypeDiff",
  ${
    version >= 140_000
      ? `(SELECT format('%I.%I', n.nspname, m.typname) FROM pg_type m JOIN pg_namespace n ON n.oid = m.typnamespace
     WHERE m.oid = r.rngmultitypid AND (m.typnamespace <> t.typnamespace OR m.typname <> ${MULTIRANGE}))`
      : 'NULL'
  } AS multirange,
  obj_description(t.oid, 'pg_type') AS comment,
  (SELECT json_strip_nulls(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'collation',
       CASE WHEN a.attcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = a.atttypid)) THEN a.attcollation::regcollation::text END,
       'comment', col_description(t.typrelid, a.attnum)) ORDER BY a.attnum))
     FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes,
  (SELECT json_strip_nulls(json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid),
       'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname))
     FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') AS constraints,
  ${grants('t.typacl', 'T', 't.typowner')} AS grants
FROM pg_type t JOIN ours o ON o.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_range r ON r.rngtypid = t.oid
WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')) AND ${notMember('pg_type', 't.oid')} ORDER BY schema, name`;
