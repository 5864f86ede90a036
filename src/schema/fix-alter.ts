import { columnSettings, identitySequence, identitySql, sequenceOptions } from './ddl/columns.js';
import { comment, dotted, ident, literal, option, qualified } from './ddl/names.js';
import { grantSql } from './ddl/others.js';
import { enableTrigger } from './ddl/tables.js';
import type { Difference } from './diff.js';
import type { Column, Grant, Identity, Schema, Table } from './model.js';
import type { SchemaObject } from './objects.js';

/** Is it dropped and made anew? No statement alters it, or none that always works. */
export function isRemade({ kind, facts }: SchemaObject, differences: readonly Difference[]): boolean {
  const changed = (...properties: string[]) => differences.some(({ property }) => properties.includes(property ?? ''));
  if (kind === 'trigger') return changed('definition');
  if (kind === 'column') return changed('generated') || (changed('default') && 'generated' in facts);
  if (kind === 'view' || kind === 'materialized view') return changed('definition', 'columns', 'options');
  return ['constraint', 'index', 'policy', 'rule', 'statistics', 'collation'].includes(kind);
}

/** An object that is there and differs. */
interface Change {
  id: string;
  expected: Schema;
  actual: Schema;
  /** Does a property of it differ? */
  has: (property: string) => boolean;
  /** What no statement can do. */
  byHand: string[];
}

/** ALTER statements for what is there and differs. */
export function alterStatements(
  id: string,
  differences: readonly Difference[],
  expected: Schema,
  actual: Schema,
): string[] {
  const has = (property: string) => differences.some((difference) => difference.property === property);
  const byHand = differences.map(({ property, expected: wanted }) =>
    comment(`By hand: ${property} of ${id} is to be ${wanted ?? 'none'}`),
  );
  const change: Change = { id, expected, actual, has, byHand };
  return (
    changeTable(change) ??
    changePart(change) ??
    changeView(change) ??
    changeSequence(change) ??
    changeRoutine(change) ??
    changeSchema(change) ??
    changeType(change, differences.length) ??
    byHand
  );
}

type Named = { schema: string; name: string; grants?: Grant[] };

function find<T extends Named>(list: readonly T[], id: string, ...kinds: string[]): T | undefined {
  return list.find((item) => kinds.some((kind) => id === `${kind} ${dotted(item)}`));
}

/** @param target such as `TABLE public.users` */
function grants({ has }: Change, target: string, wanted: { grants?: Grant[] }, found?: { grants?: Grant[] }): string[] {
  return has('grants') ? grantSql(target, wanted.grants, found?.grants) : [];
}

function changeTable(change: Change): string[] | undefined {
  const table = find(change.expected.tables, change.id, 'table');
  if (!table) return undefined;
  const found = find(change.actual.tables, change.id, 'table') as Table;
  return [...alterTable(table, found, change), ...grants(change, `TABLE ${qualified(table)}`, table, found)];
}

/** A column or a trigger of a table. */
function changePart({ id, expected, actual, has }: Change): string[] | undefined {
  for (const relation of expected.tables) {
    const found = actual.tables.find(({ schema, name }) => schema === relation.schema && name === relation.name);
    const name = dotted(relation);
    const column = relation.columns.find((item) => id === `column ${name}.${item.name}`);
    const before = found?.columns.find((item) => item.name === column?.name);
    if (column && before) return alterColumn(relation, column, before, has);
    const trigger = relation.triggers.find((item) => id === `trigger ${name}.${item.name}`);
    if (trigger) return [enableTrigger(relation, trigger)];
  }
  return undefined;
}

function changeView(change: Change): string[] | undefined {
  const kinds = ['view', 'materialized view'];
  const view = find(change.expected.views, change.id, ...kinds);
  return view && grants(change, `TABLE ${qualified(view)}`, view, find(change.actual.views, change.id, ...kinds));
}

function changeSequence(change: Change): string[] | undefined {
  const { id, expected, actual, has } = change;
  const sequence = find(expected.sequences, id, 'sequence');
  if (!sequence) return undefined;
  const alter = `ALTER SEQUENCE ${qualified(sequence)}`;
  const options = ['type', 'start', 'increment', 'min', 'max', 'cache', 'cycle'].some(has);
  return [
    ...(options ? [`${alter} AS ${sequence.type} ${sequenceOptions(sequence, true)}`] : []),
    ...(has('ownedBy') ? [`${alter} OWNED BY ${sequence.ownedBy ?? 'NONE'}`] : []),
    ...grants(change, `SEQUENCE ${qualified(sequence)}`, sequence, find(actual.sequences, id, 'sequence')),
  ];
}

function changeRoutine(change: Change): string[] | undefined {
  const { id, expected, actual, has } = change;
  const isRoutine = (item: Schema['routines'][number]) => id === `${item.kind} ${dotted(item)}(${item.arguments})`;
  const routine = expected.routines.find(isRoutine);
  if (!routine) return undefined;
  const target = `ROUTINE ${qualified(routine)}(${routine.arguments})`;
  return [
    ...(has('definition') ? [routine.definition] : []),
    ...grants(change, target, routine, actual.routines.find(isRoutine)),
  ];
}

function changeSchema(change: Change): string[] | undefined {
  const isSchema = ({ name }: { name: string }) => change.id === `schema ${name}`;
  const schema = change.expected.schemas.find(isSchema);
  return schema && grants(change, `SCHEMA ${ident(schema.name)}`, schema, change.actual.schemas.find(isSchema));
}

/** @param count of all differences of the type */
function changeType(change: Change, count: number): string[] | undefined {
  const { id, expected, actual, has } = change;
  const kinds = ['enum', 'domain', 'range', 'type'];
  const type = find(expected.types, id, ...kinds);
  if (!type) return undefined;
  const found = find(actual.types, id, ...kinds);
  const granted = grants(change, `TYPE ${qualified(type)}`, type, found);
  if (type.kind === 'domain' && !has('base') && !has('collation')) {
    const alter = `ALTER DOMAIN ${qualified(type)}`;
    return [
      ...(has('default')
        ? [type.default === undefined ? `${alter} DROP DEFAULT` : `${alter} SET DEFAULT ${type.default}`]
        : []),
      ...(has('notNull') ? [`${alter} ${type.notNull ? 'SET' : 'DROP'} NOT NULL`] : []),
      ...granted,
    ];
  }
  const added = addedLabels(type.labels ?? [], found?.labels ?? []);
  if (type.kind === 'enum' && added)
    return [...added.map((text) => `ALTER TYPE ${qualified(type)} ${text}`), ...granted];
  return has('grants') && count === 1 ? granted : undefined;
}

/** @returns undefined when labels would have to go or to move, which PostgreSQL can't */
function addedLabels(wanted: string[], found: string[]): string[] | undefined {
  if (wanted.filter((label) => found.includes(label)).join('\0') !== found.join('\0')) return undefined;
  return wanted.flatMap((label, i) => {
    if (found.includes(label)) return [];
    return [
      `ADD VALUE ${literal(label)} ${i === 0 ? `BEFORE ${literal(found[0] ?? '')}` : `AFTER ${literal(wanted[i - 1] as string)}`}`,
    ];
  });
}

function alterTable(table: Table, found: Table, { has, byHand }: Change): string[] {
  const alter = `ALTER TABLE ${qualified(table)}`;
  const reset = (found.options ?? []).map((text) => text.slice(0, text.indexOf('=')));
  const shape = ['kind', 'partitionKey', 'partitionBound', 'inherits'];
  return [
    ...(has('options') && reset.length > 0 ? [`${alter} RESET (${reset.join(', ')})`] : []),
    ...(has('options') && table.options ? [`${alter} SET (${table.options.map(option).join(', ')})`] : []),
    ...(has('ofType') ? [`${alter} ${table.ofType ? `OF ${table.ofType}` : 'NOT OF'}`] : []),
    ...(has('unlogged') ? [`${alter} SET ${table.unlogged ? 'UNLOGGED' : 'LOGGED'}`] : []),
    ...(has('replicaIdentity') ? [`${alter} REPLICA IDENTITY ${table.replicaIdentity ?? 'DEFAULT'}`] : []),
    ...(has('rowSecurity')
      ? [
          `${alter} ${table.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`,
          `${alter} ${table.rowSecurity === 'forced' ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`,
        ]
      : []),
    ...byHand.filter((text) => shape.some((property) => text.startsWith(`-- By hand: ${property} `))),
  ];
}

function alterColumn(
  relation: { schema: string; name: string },
  column: Column,
  found: Column,
  has: (property: string) => boolean,
): string[] {
  const table = qualified(relation);
  const name = ident(column.name);
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
  const retype = has('type') || has('collation');
  const settings = ['storage', 'compression', 'statistics', 'options'].some(has);
  const reset = (found.options ?? []).map((text) => text.slice(0, text.indexOf('=')));
  // The old default may not fit the new type.
  const redefault = (has('default') || (retype && found.default !== undefined)) && !column.generated;
  return [
    ...(has('identity') && found.identity && !column.identity ? [`${alter} DROP IDENTITY`] : []),
    ...(redefault && found.default !== undefined ? [`${alter} DROP DEFAULT`] : []),
    ...(retype
      ? [
          `${alter} TYPE ${column.type}${column.collation ? ` COLLATE ${column.collation}` : ''} USING ${name}::${column.type}`,
        ]
      : []),
    ...(redefault && column.default !== undefined ? [`${alter} SET DEFAULT ${column.default}`] : []),
    ...(has('notNull') ? [`${alter} ${column.notNull ? 'SET' : 'DROP'} NOT NULL`] : []),
    ...(has('identity') && column.identity ? alterIdentity(relation, column, found) : []),
    ...(settings && column.storage === undefined && found.storage ? [`${alter} SET STORAGE DEFAULT`] : []),
    ...(settings && column.statistics === undefined && found.statistics !== undefined
      ? [`${alter} SET STATISTICS -1`]
      : []),
    ...(has('options') && reset.length > 0 ? [`${alter} RESET (${reset.join(', ')})`] : []),
    ...(settings ? columnSettings(table, column) : []),
    ...(has('grants') ? grantSql(`TABLE ${table}`, column.grants, found.grants, name) : []),
  ];
}

/** Made anew, the sequence would give its numbers once more: what is there is altered. */
function alterIdentity(relation: { schema: string; name: string }, column: Column, found: Column): string[] {
  const identity = column.identity as Identity;
  const alter = `ALTER TABLE ${qualified(relation)} ALTER COLUMN ${ident(column.name)}`;
  const grants = (before?: Grant[]) =>
    grantSql(`SEQUENCE ${identitySequence(relation, column)}`, identity.grants, before);
  if (!found.identity) {
    const add = `${alter} ADD ${identitySql(identity, relation.schema, true)}`;
    return [add, ...(identity.grants ? grants() : [])];
  }
  const before = found.identity;
  const rename = (identity.name ?? '') !== (before.name ?? '');
  const options = JSON.stringify(identity.sequence) !== JSON.stringify(before.sequence);
  const name = identity.name ?? `${relation.name}_${column.name}_seq`;
  return [
    ...(rename ? [`ALTER SEQUENCE ${identitySequence(relation, found)} RENAME TO ${ident(name)}`] : []),
    ...(identity.always === before.always
      ? []
      : [`${alter} SET GENERATED ${identity.always ? 'ALWAYS' : 'BY DEFAULT'}`]),
    ...(options
      ? [
          `ALTER SEQUENCE ${identitySequence(relation, column)} AS ${identity.sequence.type} ${sequenceOptions(identity.sequence, true)}`,
        ]
      : []),
    ...(JSON.stringify(identity.grants) === JSON.stringify(before.grants) ? [] : grants(before.grants)),
  ];
}
