import { columnSettings, identitySequence, identitySql, sequenceOptions } from './ddl/columns.js';
import { comment, ident, literal, option, qualified } from './ddl/names.js';
import { grantSql } from './ddl/others.js';
import { enableTrigger } from './ddl/tables.js';
import type { Difference } from './diff.js';
import type { Column, DataType, Identity, Routine, Sequence, Table, Trigger } from './model.js';
import type { SchemaObject } from './objects.js';

/** Is it dropped and made anew? No statement alters it, or none that always works. */
export function isRemade({ kind, item }: SchemaObject, differences: readonly Difference[]): boolean {
  const changed = (...properties: string[]) => differences.some(({ property }) => properties.includes(property ?? ''));
  if (kind === 'trigger') return changed('definition');
  if (kind === 'column') return changed('generated') || (changed('default') && 'generated' in item);
  if (kind === 'view' || kind === 'materialized view') return changed('definition', 'columns', 'options');
  return ['constraint', 'index', 'policy', 'rule', 'statistics', 'collation'].includes(kind);
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
  const grants = has('grants') ? grantSql(granted, item.grants, found.item.grants, column) : [];
  const shape = differences.filter(({ property = '' }) => SHAPE.includes(property));
  if (kind === 'table') return [...alterTable(item as Table, found.item as Table, has), ...byHand(shape), ...grants];
  const own = alterOther(wanted, found, has) ?? (has('grants') && differences.length === 1 ? [] : undefined);
  return own ? [...own, ...grants] : byHand(differences);
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
  if (unit.startsWith('view ') || kind === 'schema') return [];
  if (kind === 'sequence') return alterSequence(item as Sequence, `ALTER ${target}`, has);
  if (kind === 'domain' && !has('base') && !has('collation'))
    return alterDomain(item as DataType, `ALTER ${target}`, has);
  if (kind === 'enum') {
    const added = addedLabels((item as DataType).labels ?? [], (found.item as DataType).labels ?? []);
    return added?.map((text) => `ALTER ${target} ${text}`);
  }
  if (!relation || !('policies' in relation)) return undefined;
  if (kind === 'trigger') return [enableTrigger(relation, item as Trigger)];
  return kind === 'column' ? alterColumn(relation, item as Column, found.item as Column, has) : undefined;
}

function alterSequence(sequence: Sequence, alter: string, has: Has): string[] {
  return statements([
    [
      ['type', 'start', 'increment', 'min', 'max', 'cache', 'cycle'].some(has),
      `${alter} AS ${sequence.type} ${sequenceOptions(sequence, true)}`,
    ],
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
    return [
      `ADD VALUE ${literal(label)} ${i === 0 ? `BEFORE ${literal(found[0] ?? '')}` : `AFTER ${literal(wanted[i - 1] as string)}`}`,
    ];
  });
}

function alterTable(table: Table, found: Table, has: Has): string[] {
  const alter = `ALTER TABLE ${qualified(table)}`;
  return statements([
    [has('options') && found.options, `${alter} RESET (${optionNames(found)})`],
    [has('options') && table.options, `${alter} SET (${table.options?.map(option).join(', ')})`],
    [has('ofType'), `${alter} ${table.ofType ? `OF ${table.ofType}` : 'NOT OF'}`],
    [has('unlogged'), `${alter} SET ${table.unlogged ? 'UNLOGGED' : 'LOGGED'}`],
    [has('replicaIdentity'), `${alter} REPLICA IDENTITY ${table.replicaIdentity ?? 'DEFAULT'}`],
    [has('rowSecurity'), `${alter} ${table.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`],
    [has('rowSecurity'), `${alter} ${table.rowSecurity === 'forced' ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`],
  ]);
}

const optionNames = ({ options = [] }: { options?: string[] }) =>
  options.map((text) => text.slice(0, text.indexOf('='))).join(', ');

function alterColumn(relation: Table, column: Column, found: Column, has: Has): string[] {
  const table = qualified(relation);
  const name = ident(column.name);
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
  const retype = has('type') || has('collation');
  const settings = ['storage', 'compression', 'statistics', 'options'].some(has);
  // The old default may not fit the new type.
  const redefault = (has('default') || (retype && found.default !== undefined)) && !column.generated;
  const collate = column.collation ? ` COLLATE ${column.collation}` : '';
  return [
    ...statements([
      [has('identity') && found.identity && !column.identity, `${alter} DROP IDENTITY`],
      [redefault && found.default !== undefined, `${alter} DROP DEFAULT`],
      [retype, `${alter} TYPE ${column.type}${collate} USING ${name}::${column.type}`],
      [redefault && column.default !== undefined, `${alter} SET DEFAULT ${column.default}`],
      [has('notNull'), `${alter} ${column.notNull ? 'SET' : 'DROP'} NOT NULL`],
    ]),
    ...(has('identity') && column.identity ? alterIdentity(relation, column, found) : []),
    ...statements([
      [settings && column.storage === undefined && found.storage, `${alter} SET STORAGE DEFAULT`],
      [settings && column.statistics === undefined && found.statistics !== undefined, `${alter} SET STATISTICS -1`],
      [has('options') && found.options, `${alter} RESET (${optionNames(found)})`],
    ]),
    ...(settings ? columnSettings(table, column) : []),
  ];
}

/** Made anew, the sequence would give its numbers once more: what is there is altered. */
function alterIdentity(relation: Table, column: Column, found: Column): string[] {
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
