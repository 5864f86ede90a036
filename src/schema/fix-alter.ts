import { addNotNull, columnSettings, identitySequence, identitySql, sequenceOptions } from './ddl/columns.js';
import { comment, ident, literal, option, qualified } from './ddl/names.js';
import { grantSql } from './ddl/others.js';
import { enableTrigger } from './ddl/tables.js';
import type { Difference } from './diff.js';
import type { Column, DataType, Identity, Routine, Sequence, Table, Trigger, View } from './model.js';
import type { SchemaObject } from './objects.js';

/** Is it dropped and made anew? No statement alters it, or none that always works. */
export function isRemade(
  { kind, unit, item }: SchemaObject,
  found: SchemaObject,
  differences: readonly Difference[],
): boolean {
  const changed = (...properties: string[]) => differences.some(({ property }) => properties.includes(property ?? ''));
  if (kind === 'trigger') return changed('definition');
  if (unit.startsWith('routine ')) return changed('definition') && !isReplaced(item as Routine, found.item as Routine);
  if (kind === 'column') return changed('generated') || (changed('default') && 'generated' in item);
  if (kind === 'view' || kind === 'materialized view') return changed('definition', 'columns', 'options');
  return ['constraint', 'index', 'policy', 'rule', 'statistics', 'collation'].includes(kind);
}

/** Can CREATE OR REPLACE make one of the other? It changes no name of an argument, nor what is returned, and takes no default away. */
function isReplaced(wanted: Routine, found: Routine): boolean {
  const head = ({ definition }: Routine) => definition.split('\n LANGUAGE ', 1)[0] as string;
  const shape = (routine: Routine) => head(routine).replace(/ DEFAULT [^,)]*/g, '');
  const defaults = (routine: Routine) => head(routine).split(' DEFAULT ').length;
  const returned = ({ definition }: Routine) => definition.match(/\b(?:STYPE|FINALFUNC) = [^,)]*/g)?.join();
  return wanted.kind === 'aggregate'
    ? returned(wanted) === returned(found)
    : shape(wanted) === shape(found) && defaults(wanted) >= defaults(found);
}

/** Does this property differ? */
type Has = (property: string) => boolean;

/** ALTER statements for what is there and differs. */
export function alterStatements(
  wanted: SchemaObject,
  found: SchemaObject,
  differences: readonly Difference[],
): string[] {
  const has = (property: string) => differences.some((difference) => difference.property === property);
  const byHand = (list: readonly Difference[]) =>
    list.map(({ property, expected }) =>
      comment(`By hand: ${property} of ${wanted.id} is to be ${expected ?? 'none'}`),
    );
  const { kind, granted, item } = wanted;
  const column = kind === 'column' ? ident((item as Column).name) : '';
  const grants = has('grants')
    ? [...grantSql(granted, item.grants, found.item.grants, column), ...columnGrants(wanted)]
    : [];
  const shape = differences.filter(({ property = '' }) => SHAPE.includes(property));
  if (kind === 'table') return [...alterTable(item as Table, found.item as Table, has), ...byHand(shape), ...grants];
  const own = alterOther(wanted, found, has);
  const rest = differences.filter(({ property }) => property !== 'grants');
  return [...(own?.length ? own : byHand(rest)), ...grants];
}

/** What is revoked on a table or view is revoked on its columns too. */
function columnGrants({ granted, unit, item }: SchemaObject): string[] {
  const columns = /^(table|view) /.test(unit) ? (item as Table | View).columns : [];
  return columns.flatMap(({ name, grants }) => (grants ? grantSql(granted, grants, [], ident(name)) : []));
}

/** What a table cannot become by a statement. */
const SHAPE = ['kind', 'partitionKey', 'partitionBound', 'inherits'];

/** @returns undefined where no statement does it */
function alterOther(
  { kind, unit, target, item, relation }: SchemaObject,
  found: SchemaObject,
  has: Has,
): string[] | undefined {
  if (unit.startsWith('routine ')) return has('definition') ? [(item as Routine).definition] : [];
  if (unit.startsWith('view '))
    return has('empty') ? [`REFRESH ${target}${'empty' in item ? ' WITH NO DATA' : ''}`] : [];
  if (kind === 'sequence') return alterSequence(item as Sequence, `ALTER ${target}`, has);
  if (kind === 'domain' && !has('base') && !has('collation'))
    return alterDomain(item as DataType, `ALTER ${target}`, has);
  if (kind === 'enum') {
    const added = addedLabels((item as DataType).labels ?? [], (found.item as DataType).labels ?? []);
    return added?.map((text) => `ALTER ${target} ${text}`);
  }
  if (!relation) return undefined;
  if (kind === 'trigger') return [enableTrigger(relation, item as Trigger)];
  return kind === 'column' ? alterColumn(relation, item as Column, found.item as Column, has) : undefined;
}

function alterSequence(sequence: Sequence, alter: string, has: Has): string[] {
  return statements([
    [
      ['type', 'start', 'increment', 'min', 'max', 'cache', 'cycle'].some(has),
      `${alter} AS ${sequence.type} ${sequenceOptions(sequence, true)}`,
    ],
    [has('unlogged'), `${alter} SET ${sequence.unlogged ? 'UNLOGGED' : 'LOGGED'}`],
    [has('ownedBy'), `${alter} OWNED BY ${sequence.ownedBy ?? 'NONE'}`],
  ]);
}

function alterDomain(domain: DataType, alter: string, has: Has): string[] {
  return statements([
    [has('default'), `${alter} ${domain.default === undefined ? 'DROP DEFAULT' : `SET DEFAULT ${domain.default}`}`],
    [has('notNull'), `${alter} ${domain.notNull ? 'SET' : 'DROP'} NOT NULL`],
  ]);
}

/** Those whose condition holds. */
const statements = (list: readonly (readonly [condition: unknown, sql: string])[]) =>
  list.flatMap(([condition, sql]) => (condition ? [sql] : []));

/** @returns undefined when labels would have to go or to move, which PostgreSQL can't */
function addedLabels(wanted: string[], found: string[]): string[] | undefined {
  if (wanted.filter((label) => found.includes(label)).join('\0') !== found.join('\0')) return undefined;
  return wanted.flatMap((label, i) => {
    if (found.includes(label)) return [];
    const before = found[0] === undefined ? '' : ` BEFORE ${literal(found[0])}`;
    return [`ADD VALUE ${literal(label)}${i === 0 ? before : ` AFTER ${literal(wanted[i - 1] as string)}`}`];
  });
}

function alterTable(table: Table, found: Table, has: Has): string[] {
  const alter = `ALTER TABLE ${qualified(table)}`;
  return statements([
    [has('options') && found.options, `${alter} RESET (${optionNames(found)})`],
    [has('options') && table.options, `${alter} SET (${table.options?.map(option).join(', ')})`],
    [has('ofType'), `${alter} ${table.ofType ? `OF ${table.ofType}` : 'NOT OF'}`],
    [has('unlogged'), `${alter} SET ${table.unlogged ? 'UNLOGGED' : 'LOGGED'}`],
    // An index may still have to be made.
    [
      has('replicaIdentity') && !table.replicaIdentity?.startsWith('USING '),
      `${alter} REPLICA IDENTITY ${table.replicaIdentity ?? 'DEFAULT'}`,
    ],
    [has('rowSecurity'), `${alter} ${table.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`],
    [has('rowSecurity'), `${alter} ${table.rowSecurity === 'forced' ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`],
  ]);
}

const optionNames = ({ options = [] }: { options?: string[] }) =>
  options.map((text) => text.slice(0, text.indexOf('='))).join(', ');

function alterColumn(relation: Table | View, column: Column, found: Column, has: Has): string[] {
  const table = qualified(relation);
  const name = ident(column.name);
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
  // Heirs and partitions have defaults of their own.
  const only = `ALTER TABLE ONLY ${table} ALTER COLUMN ${name}`;
  const retype = has('type') || has('collation');
  const settings = ['storage', 'compression', 'statistics', 'options'].some(has);
  // The old default may not fit the new type.
  const redefault = (has('default') || (retype && found.default !== undefined)) && !column.generated;
  const collate = column.collation ? ` COLLATE ${column.collation}` : '';
  return [
    ...statements([
      [has('identity') && found.identity && !column.identity, `${alter} DROP IDENTITY`],
      [redefault && found.default !== undefined, `${only} DROP DEFAULT`],
      // That of an heir or a partition changes with its parent's, which comes before.
      [retype && !column.inherited, `${alter} TYPE ${column.type}${collate} USING ${name}::${column.type}`],
      [redefault && column.default !== undefined, `${only} SET DEFAULT ${column.default}`],
    ]),
    ...(['notNull', 'notNullUnchecked', 'notNullNoInherit'].some(has) ? alterNotNull(table, column, found) : []),
    ...(has('identity') && column.identity ? alterIdentity(relation, column, found) : []),
    ...statements([
      [column.storage === undefined && found.storage, `${only} SET STORAGE ${standardStorage(column)}`],
      [column.compression === undefined && found.compression, `${only} SET COMPRESSION DEFAULT`],
      [column.statistics === undefined && found.statistics !== undefined, `${only} SET STATISTICS -1`],
      [has('options') && found.options, `${only} RESET (${optionNames(found)})`],
    ]),
    ...(settings ? columnSettings(table, column) : []),
  ];
}

/** What a type whose storage can be set has by itself: only PostgreSQL 16 and later know it as DEFAULT. */
const standardStorage = ({ type }: Column) => (/^(numeric(\(.*\))?|inet|cidr)$/.test(type) ? 'MAIN' : 'EXTENDED');

/** Of a NOT NULL that holds for new rows only, SET NOT NULL makes one for all. */
function alterNotNull(table: string, column: Column, found: Column): string[] {
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${ident(column.name)}`;
  const isSame = column.notNullNoInherit === found.notNullNoInherit;
  if (column.notNull && !column.notNullUnchecked && isSame) return [`${alter} SET NOT NULL`];
  return [...(found.notNull ? [`${alter} DROP NOT NULL`] : []), ...(column.notNull ? [addNotNull(table, column)] : [])];
}

/** Made anew, the sequence would give its numbers once more: what is there is altered. */
function alterIdentity(relation: Table | View, column: Column, found: Column): string[] {
  const identity = column.identity as Identity;
  const before = found.identity;
  const alter = `ALTER TABLE ${qualified(relation)} ALTER COLUMN ${ident(column.name)}`;
  const sequence = identitySequence(relation, column);
  const isOther = (key: keyof Identity) => JSON.stringify(identity[key]) !== JSON.stringify(before?.[key]);
  const grants = isOther('grants') ? grantSql(`SEQUENCE ${sequence}`, identity.grants, before?.grants) : [];
  if (!before) return [`${alter} ADD ${identitySql(identity, relation.schema, true)}`, ...grants];
  const name = identity.name ?? `${relation.name}_${column.name}_seq`;
  return [
    ...statements([
      [isOther('name'), `ALTER SEQUENCE ${identitySequence(relation, found)} RENAME TO ${ident(name)}`],
      [isOther('always'), `${alter} SET GENERATED ${identity.always ? 'ALWAYS' : 'BY DEFAULT'}`],
      [
        isOther('sequence'),
        `ALTER SEQUENCE ${sequence} AS ${identity.sequence.type} ${sequenceOptions(identity.sequence, true)}`,
      ],
    ]),
    ...grants,
  ];
}
