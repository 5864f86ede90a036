/**
 * Words that need quotes as a name: those that PostgreSQL 13 to 18 reserve, wholly or as names of tables, columns, functions or types
 * (manual, appendix C).
 */
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character check
coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema
current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float
for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull
join json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral
leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric
offset on only or order out outer over overlaps overlay placing position precision primary real references returning right row select
session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true
union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest
xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`.split(/\s+/),
);

/** A name as SQL, in quotes only where it needs them. */
export function ident(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) && !RESERVED.has(name) ? name : inDoubleQuotes(name);
}

const inDoubleQuotes = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** `schema.name` as SQL. */
export function qualified({ schema, name }: { schema: string; name: string }): string {
  return `${ident(schema)}.${ident(name)}`;
}

/** A name as ids have it: in quotes only where it has a dot or a quote, so that no two objects have the same id. */
export function namePart(name: string): string {
  return /[."]/.test(name) ? inDoubleQuotes(name) : name;
}

/** `schema.name` as ids have it: `table public.users`. */
export function dotted({ schema, name }: { schema: string; name: string }): string {
  return `${namePart(schema)}.${namePart(name)}`;
}

/** A text as an SQL literal, where it has no backslash or is read by kasm-db's own settings. */
function inQuotes(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A text as an SQL literal that is read alike whatever standard_conforming_strings is. */
export function literal(text: string): string {
  const quoted = inQuotes(text);
  return quoted.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** `name=value` as it is stored, as SQL. */
export function option(text: string): string {
  const at = text.indexOf('=');
  return `${text.slice(0, at)} = ${inQuotes(text.slice(at + 1))}`;
}

/** A comment of one line, whatever names are in it: what stands behind a line break would be a statement. */
export const comment = (text: string) => `-- ${text.replace(/[\s\u0085]+/g, ' ')}`;

/** Lines of a script: `;` at its end, however it ends. */
export const statement = (sql: string) => `${sql.replace(/;\s*$/, '')};`;
