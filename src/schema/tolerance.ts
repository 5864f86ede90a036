import { dotted } from './ddl/names.js';
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
  const open = new Open(expected, actual);
  const tolerated: Difference[] = [];
  const refused: Difference[] = [];
  for (const difference of differences) (open.leaves(difference) ? tolerated : refused).push(difference);
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

class Open {
  private readonly expected: Map<string, Table>;
  private readonly actual: Map<string, Table>;

  constructor(expected: Schema, actual: Schema) {
    const byName = (schema: Schema) => new Map(schema.tables.map((table) => [dotted(table), table]));
    [this.expected, this.actual] = [byName(expected), byName(actual)];
  }

  /** Does the export leave open whether it is so? */
  leaves({ change, object, group, property = '' }: Difference): boolean {
    const kind = object.slice(0, object.indexOf(' '));
    const name = object.slice(object.lastIndexOf('.') + 1);
    if (FREE.has(group) || kind === 'extension' || kind === 'index') return true;
    if (change === 'changed' && OPERATIONAL.has(property)) return true;
    const [wanted, found] = [this.expected.get(group), this.actual.get(group)];
    // The export leaves things out, tables among them: what only the database has is no contradiction.
    if (change === 'extra') return true;
    if (!wanted || !found) return false;
    if (kind === 'constraint')
      return this.leavesConstraint(change, object.slice(`constraint ${group}.`.length), wanted, found);
    if (kind !== 'column' || change !== 'changed') return false;
    const columns = [wanted, found].map((table) => table.columns.find((column) => column.name === name));
    const [before, now] = columns as [Column, Column];
    if (property === 'default') return now.generated === undefined && before.generated === undefined;
    if (property === 'type') return likeInExport(before.type, now.type);
    // Required means NOT NULL without a default; an id is never said to be.
    if (property !== 'notNull') return false;
    const isKey = [wanted, found].some((table) =>
      table.constraints.some(({ kind: of, columns: list }) => of === 'primary key' && list.includes(name)),
    );
    const required = (column: Column) => column.notNull && column.default === undefined;
    return isKey || required(before) === required(now);
  }

  private leavesConstraint(change: Difference['change'], name: string, wanted: Table, found: Table): boolean {
    const of = (table: Table) => table.constraints.find((constraint) => constraint.name === name);
    const [before, now] = [of(wanted), of(found)];
    if (change === 'changed') return before !== undefined && now !== undefined && isAlike(before, now);
    // The export has no keys; whoever makes a database from it alone makes those that references need.
    return (
      before !== undefined &&
      (before.kind === 'primary key' ||
        before.kind === 'unique' ||
        found.constraints.some((other) => isAlike(before, other)))
    );
  }
}

/** The same key, whatever its name, its actions and when it is checked. */
function isAlike(a: Constraint, b: Constraint): boolean {
  const unique = ({ kind }: Constraint) => kind === 'primary key' || kind === 'unique';
  if (unique(a) && unique(b)) return [...a.columns].sort().join() === [...b.columns].sort().join();
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
