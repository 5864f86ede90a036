import type { Attachment, Column, Constraint, Index, Policy, Table, Trigger, View } from '../model.js';
import { columnSql, notNullUnchecked } from './columns.js';
import { ident, option, qualified } from './names.js';

/**
 * CREATE TABLE and what belongs to it at once; foreign keys, checks, indexes and the rest come when all tables are there.
 * @param tables all of them
 * @param checks that a partition needs to become one
 */
export function createTable(table: Table, tables: readonly Table[], checks: readonly Constraint[] = []): string[] {
  const name = qualified(table);
  const partition = table.partitionBound !== undefined;
  const parents = partition ? [] : (table.inherits ?? []);
  const keys = keysOf(table);
  const own = table.columns.filter((column) => partition || column.inherited !== 'inherited');
  const lines = [
    ...own.map((column) => columnSql(column, table.schema)),
    ...[...keys.inline, ...checks].map((c) => `CONSTRAINT ${ident(c.name)} ${c.definition}`),
  ];
  const body = lines.length > 0 ? `(\n    ${lines.join(',\n    ')}\n)` : '()';
  const create = [
    `CREATE ${table.unlogged ? 'UNLOGGED ' : ''}TABLE ${name} ${body}`,
    parents.length > 0 ? `INHERITS (${parents.join(', ')})` : '',
    table.partitionKey ? `PARTITION BY ${table.partitionKey}` : '',
    table.options ? `WITH (${table.options.map(option).join(', ')})` : '',
  ];
  return [
    create.filter(Boolean).join(' '),
    ...(table.ofType ? [`ALTER TABLE ${name} OF ${table.ofType}`] : []),
    ...(partition ? [] : inheritedChanges(table, tables)),
    ...(partition ? [`ALTER TABLE ${table.inherits?.[0]} ATTACH PARTITION ${name} ${table.partitionBound}`] : []),
    ...keys.later.map((key) => addConstraint(table, key)),
    ...table.columns.flatMap((column) => notNullUnchecked(name, column)),
  ];
}

/**
 * Keys that CREATE TABLE can take, and those that come after it: there PostgreSQL merges a key on the columns of another into that one. On a partition
 * it would take any key for the one that comes from the whole table.
 */
function keysOf(table: Table): { inline: Constraint[]; later: Constraint[] } {
  const seen = new Set<string>();
  const primaryFirst = (a: Constraint, b: Constraint) =>
    Number(b.kind === 'primary key') - Number(a.kind === 'primary key');
  const keys = table.constraints.filter(isInline).sort(primaryFirst);
  const isFirst = ({ kind, columns }: Constraint) => {
    const key = kind === 'exclusion' ? kind : JSON.stringify(columns);
    return !seen.has(key) && seen.add(key);
  };
  const inline = table.partitionBound === undefined ? keys.filter(isFirst) : [];
  return { inline, later: keys.filter((key) => !inline.includes(key)) };
}

/** What a query may rely on, so that views need it (GROUP BY a primary key). */
export function isInline({ kind }: Constraint): boolean {
  return kind === 'primary key' || kind === 'unique' || kind === 'exclusion';
}

/** A child may have given a column of its parent another default; before PostgreSQL 18 it may hold NULL where its parent's does not. */
export function inheritedChanges(
  table: Table,
  tables: readonly Table[],
  columns: readonly Column[] = table.columns,
): string[] {
  const parents = (table.inherits ?? []).flatMap((name) => tables.filter((other) => qualified(other) === name));
  const parentOf = (column: Column) =>
    parents.map((parent) => parent.columns.find(({ name }) => name === column.name)).find(Boolean);
  return columns.flatMap((column) => {
    const parent = column.inherited ? parentOf(column) : undefined;
    if (!parent) return [];
    const alter = `ALTER TABLE ONLY ${qualified(table)} ALTER COLUMN ${ident(column.name)}`;
    return [
      ...(column.default === parent.default || column.generated
        ? []
        : [column.default === undefined ? `${alter} DROP DEFAULT` : `${alter} SET DEFAULT ${column.default}`]),
      ...(column.notNull === (parent.notNull && !parent.notNullNoInherit)
        ? []
        : [`${alter} ${column.notNull ? 'SET' : 'DROP'} NOT NULL`]),
    ];
  });
}

/** ALTER TABLE … ADD CONSTRAINT. */
export function addConstraint(table: { schema: string; name: string }, { name, definition }: Constraint): string {
  return `ALTER TABLE ${qualified(table)} ADD CONSTRAINT ${ident(name)} ${definition}`;
}

/** CREATE VIEW or CREATE MATERIALIZED VIEW, and the defaults of its columns. */
export function createView(view: View): string[] {
  const name = qualified(view);
  const isMaterialized = view.kind === 'materialized view';
  const isCheck = (text: string) => text.startsWith('check_option=');
  const options = (view.options ?? []).filter((text) => !isCheck(text));
  const check = view.options?.find(isCheck)?.slice('check_option='.length);
  const create = [
    `CREATE ${view.kind.toUpperCase()} ${name}`,
    options.length > 0 ? ` WITH (${options.map(option).join(', ')})` : '',
    ` AS\n ${view.definition}`,
    isMaterialized ? '\n WITH NO DATA' : '',
    check ? `\n WITH ${check.toUpperCase()} CHECK OPTION` : '',
  ];
  const defaults = view.columns.filter((column) => column.default !== undefined);
  const setDefault = (column: Column) =>
    `ALTER VIEW ${name} ALTER COLUMN ${ident(column.name)} SET DEFAULT ${column.default}`;
  return [create.join(''), ...defaults.map(setDefault)];
}

/** @returns nothing for an index that a failed CREATE INDEX CONCURRENTLY has left: nobody can make one like it */
export function createIndex({ definition, valid }: Index): string[] {
  return valid || definition.includes(' ON ONLY ') ? [definition] : [];
}

const ENABLE = { origin: 'ENABLE', disabled: 'DISABLE', replica: 'ENABLE REPLICA', always: 'ENABLE ALWAYS' };

/** ALTER TABLE … ENABLE or DISABLE TRIGGER. */
export function enableTrigger(table: { schema: string; name: string }, { name, enabled, inherited }: Trigger): string {
  return `ALTER TABLE ${inherited ? 'ONLY ' : ''}${qualified(table)} ${ENABLE[enabled]} TRIGGER ${ident(name)}`;
}

/** CREATE TRIGGER, and what switches it where it is not enabled as usual. */
export function createTrigger(table: { schema: string; name: string }, trigger: Trigger): string[] {
  if (trigger.inherited) return [enableTrigger(table, trigger)];
  return [trigger.definition, ...(trigger.enabled === 'origin' ? [] : [enableTrigger(table, trigger)])];
}

/** A rule or statistics, and what switches a rule that is not enabled as usual. */
export function createAttachment(
  table: { schema: string; name: string },
  { name, definition, enabled }: Attachment,
): string[] {
  return [definition, ...(enabled ? [`ALTER TABLE ${qualified(table)} ${ENABLE[enabled]} RULE ${ident(name)}`] : [])];
}

/** CREATE POLICY. */
export function createPolicy(table: { schema: string; name: string }, policy: Policy): string {
  return [
    `CREATE POLICY ${ident(policy.name)} ON ${qualified(table)} AS ${policy.permissive ? 'PERMISSIVE' : 'RESTRICTIVE'}`,
    `FOR ${policy.command} TO ${policy.roles.map(role).join(', ')}`,
    policy.using === undefined ? '' : `USING (${policy.using})`,
    policy.check === undefined ? '' : `WITH CHECK (${policy.check})`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** A grantee or a policy's role as SQL. */
export function role(name: string): string {
  if (name === 'PUBLIC') return 'PUBLIC';
  return name === 'OWNER' ? 'CURRENT_USER' : ident(name);
}

/** ALTER TABLE … ROW LEVEL SECURITY, where it is enabled or forced. */
export function rowSecurity(table: Table): string[] {
  if (!table.rowSecurity) return [];
  const alter = `ALTER TABLE ${qualified(table)}`;
  const enable = `${alter} ENABLE ROW LEVEL SECURITY`;
  return table.rowSecurity === 'forced' ? [enable, `${alter} FORCE ROW LEVEL SECURITY`] : [enable];
}
