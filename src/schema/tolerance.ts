import { partition } from '../app/group-by.js';
import { dotted, namePart } from './ddl/names.js';
import type { Difference } from './diff.js';
import { NOT_EXPORTED } from './export.js';
import type { Column, Constraint, Schema, Table } from './model.js';

/**
 * Parts the differences of a database that Kasm itself has made from what its export lists: those that the export leaves open (names,
 * keys, indexes, defaults, the shape of the tables that it doesn't list), and those that matter. Pure.
 */
export function tolerate(
  differences: readonly Difference[],
  expected: Schema,
  actual: Schema,
): { tolerated: Difference[]; refused: Difference[] } {
  const byName = (schema: Schema) => new Map(schema.tables.map((table) => [dotted(table), table]));
  const [wanted, found] = [byName(expected), byName(actual)];
  const [tolerated, refused] = partition(differences, (difference) =>
    isOpen(difference, wanted.get(difference.group), found.get(difference.group)),
  );
  return { tolerated, refused };
}

const FREE = new Set([...NOT_EXPORTED].map((name) => `public.${name}`));
/** Operators set these; no release of Kasm says anything of them. */
const OPERATIONAL = new Set([
  'grants',
  'options',
  'replicaIdentity',
  'storage',
  'statistics',
  'compression',
  'unlogged',
]);

/** Does the export leave open whether it is so? */
function isOpen({ change, object, group, property = '' }: Difference, wanted?: Table, found?: Table): boolean {
  const kind = object.slice(0, object.indexOf(' '));
  if (FREE.has(group) || kind === 'extension' || kind === 'index') return true;
  // The export leaves things out, tables among them: what only the database has is no contradiction.
  if (change === 'extra' || (change === 'changed' && OPERATIONAL.has(property))) return true;
  if (!wanted || !found) return false;
  const isMeant = ({ name }: { name: string }) => object === `${kind} ${group}.${namePart(name)}`;
  if (property === 'disabled') return false;
  if (kind === 'constraint') return isOpenConstraint(change, isMeant, wanted, found);
  if (kind !== 'column' || change !== 'changed') return false;
  const columns = [wanted, found].map((table) => table.columns.find(isMeant));
  const [before, now] = columns as [Column, Column];
  if (property === 'default') return now.generated === undefined && before.generated === undefined;
  if (property === 'type') return likeInExport(before.type, now.type);
  // Required means NOT NULL without a default; an id is never said to be.
  if (property !== 'notNull') return false;
  const isKey = [wanted, found].some((table) =>
    table.constraints.some(({ kind: of, columns: list }) => of === 'primary key' && list.includes(now.name)),
  );
  const required = (column: Column) => column.notNull && column.default === undefined;
  return isKey || required(before) === required(now);
}

function isOpenConstraint(
  change: Difference['change'],
  isMeant: (constraint: Constraint) => boolean,
  wanted: Table,
  found: Table,
): boolean {
  const [before, now] = [wanted.constraints.find(isMeant), found.constraints.find(isMeant)];
  if (!before) return false;
  if (change === 'changed') return now !== undefined && isAlike(before, now);
  // The export has no keys; whoever makes a database from it alone makes those that references need.
  return isUnique(before) || found.constraints.some((other) => isAlike(before, other));
}

const isUnique = ({ kind }: Constraint) => kind === 'primary key' || kind === 'unique';

/** The same key, whatever its name, its actions and when it is checked. */
function isAlike(a: Constraint, b: Constraint): boolean {
  if (isUnique(a) && isUnique(b)) return [...a.columns].sort().join() === [...b.columns].sort().join();
  if (a.references && b.references)
    return JSON.stringify([a.columns, a.references]) === JSON.stringify([b.columns, b.references]);
  return a.kind === b.kind && a.definition === b.definition;
}

/** TIMESTAMP says nothing of a time zone, ARRAY nothing of its elements. */
function likeInExport(a: string, b: string): boolean {
  const plain = (type: string) =>
    type.replace(/^(time(?:stamp)?)(?:\(\d\))? with(?:out)? time zone$/, '$1').replace(/^.*\[\]$/, 'ARRAY');
  return plain(a) === plain(b);
}
