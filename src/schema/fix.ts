import { groupBy } from '../app/group-by.js';
import { createAll, inOrder } from './ddl/create.js';
import { comment, dotted, ident, qualified, statement } from './ddl/names.js';
import type { Difference } from './diff.js';
import { alterStatements, isRemade } from './fix-alter.js';
import type { Column, Constraint, Index, Schema, Trigger, View } from './model.js';
import { objectsOf, type SchemaObject } from './objects.js';

type Objects = ReadonlyMap<string, SchemaObject>;

/** In which order things go: what stands on others first. */
const DROP_ORDER = [
  'policy',
  'trigger',
  'rule',
  'foreign key',
  'materialized view',
  'view',
  'statistics',
  'index',
  'constraint',
  'column',
  'table',
];
/** What columns are made of: it goes after them, and comes before them. */
const STANDALONE = [
  'aggregate',
  'function',
  'procedure',
  'window function',
  'sequence',
  'domain',
  'enum',
  'range',
  'type',
  'collation',
];

/**
 * Statements that bring a database back to what is expected, as a script for a person to read and run; pure. What is in the way of a
 * change (views on a column, keys to a primary key) goes first and comes back at the end. What no migration has made is never dropped: how it could be
 * stands in comments.
 */
export function fixStatements(differences: readonly Difference[], expected: Schema, actual: Schema): string {
  if (differences.length === 0) return '-- Nothing to do: there is no difference.';
  const [wanted, found] = [objectsOf(expected), objectsOf(actual)];
  const ids = (of: Difference['change']) =>
    differences.filter(({ change }) => change === of).map(({ object }) => object);
  const make = new Set(ids('missing'));
  const drop = new Set<string>();
  const changed = groupBy(
    differences.filter(({ change }) => change === 'changed'),
    ({ object }) => object,
  );
  const remake = (id: string) => {
    if (found.has(id)) drop.add(id);
    make.add(id);
  };
  for (const [id, list] of changed) if (isRemade(wanted.get(id) as SchemaObject, list)) remake(id);
  for (const id of inTheWay(drop, changed, found)) remake(id);

  const isFirst = (id: string) =>
    [...STANDALONE, 'schema', 'extension'].includes((wanted.get(id) ?? found.get(id))?.kind ?? '');
  const drops = sortedDrops([...drop], found, actual);
  const dropAll = (list: readonly string[]) => list.map((id) => dropStatement(found.get(id) as SchemaObject));
  const lines = [
    ...dropAll(drops.filter((id) => !isFirst(id))),
    ...createAll(expected, (id) => make.has(id) && isFirst(id)),
    ...[...changed]
      .filter(([id]) => !make.has(id))
      .flatMap(([id, list]) => alterStatements(wanted.get(id) as SchemaObject, found.get(id) as SchemaObject, list)),
    ...dropAll(drops.filter(isFirst)),
    ...createAll(expected, (id) => make.has(id) && !isFirst(id)),
    // What was in the way and no migration has made.
    ...createAll(actual, (id) => make.has(id) && !wanted.has(id)),
  ];
  const left = dropAll(sortedDrops(ids('extra'), found, actual));
  return [
    '-- What brings this database back to the expected schema. Read it before you run it.',
    'BEGIN;',
    'SET LOCAL check_function_bodies = off;',
    ...lines.map((line) => {
      if (line.startsWith('--')) return line;
      return LOSES.test(line) ? `-- This loses data:\n${statement(line)}` : statement(line);
    }),
    'COMMIT;',
    ...(left.length > 0
      ? [
          '-- No migration has made these. If nobody needs them, and what they hold may be lost:',
          ...left.map((line) => (line.startsWith('--') ? line : `-- ${statement(line).replace(/\r\n?|\n/g, '\n-- ')}`)),
        ]
      : []),
  ].join('\n');
}

const LOSES = /^(DROP TABLE|DROP SEQUENCE|ALTER TABLE .* DROP COLUMN)/;

/** DROP for an object of the live catalog; a line for a person where kasm-db has no statement. */
function dropStatement({ id, kind, target, item, relation }: SchemaObject): string {
  if (target === '') return comment(`By hand: drop ${id}`);
  const { name, inherited } = item as Trigger;
  if (kind === 'trigger' && inherited)
    return comment(`By hand: enable or disable ${id} as on the table that it comes from`);
  // It may have gone with its column.
  if (kind === 'sequence') return `DROP ${target.replace('SEQUENCE', 'SEQUENCE IF EXISTS')}`;
  if (kind !== 'column' && kind !== 'constraint') return `DROP ${target}`;
  const whole = relation ? `TABLE ${qualified(relation)}` : target.slice(target.indexOf(' ON DOMAIN ') + ' ON '.length);
  return `ALTER ${whole} DROP ${kind.toUpperCase()} ${ident(name)}`;
}

/** Keys to a primary key that goes, views on a table that changes, indexes and constraints on a column that is made anew. */
function inTheWay(drop: ReadonlySet<string>, changed: ReadonlyMap<string, Difference[]>, found: Objects): Set<string> {
  const out = new Set<string>();
  const touched = new Set<string>();
  const addAll = (isInTheWay: (object: SchemaObject) => boolean | undefined) => {
    for (const object of found.values()) if (isInTheWay(object)) out.add(object.id);
  };
  for (const id of new Set([...drop, ...changed.keys()])) {
    const { kind, unit, item, relation, parent = '' } = found.get(id) as SchemaObject;
    if (kind === 'column') {
      const isChanged = changed
        .get(id)
        ?.some(({ property = '' }) => ['type', 'collation', 'generated'].includes(property));
      if (drop.has(id) || isChanged) touched.add(found.get(parent)?.unit as string);
    }
    if (!drop.has(id)) continue;
    if (/^(table|view) /.test(unit)) touched.add(unit);
    if (kind === 'constraint' && relation && ['primary key', 'unique'].includes((item as Constraint).kind))
      addAll(({ kind: other, item: key }) => {
        const target = other === 'constraint' ? (key as Constraint).references : undefined;
        return target?.schema === relation.schema && target.table === relation.name;
      });
    if (kind === 'column') addAll((part) => part.parent === parent && standsOn(part, (item as Column).name));
  }
  // Views stand on views.
  const views = [...found.values()].filter(({ unit }) => unit.startsWith('view '));
  for (let before = -1; before !== touched.size; ) {
    before = touched.size;
    for (const { id, unit, item } of views) {
      if (touched.has(unit) || !(item as View).dependsOn?.some((needed) => touched.has(needed))) continue;
      touched.add(unit);
      out.add(id);
    }
  }
  return out;
}

function standsOn({ kind, item }: SchemaObject, column: string): boolean {
  if (kind === 'constraint') return (item as Constraint).columns.includes(column);
  return kind === 'index' && (item as Index).definition.includes(column);
}

function sortedDrops(drop: readonly string[], found: Objects, actual: Schema): string[] {
  const views = inOrder(new Map(actual.views.map((view) => [`view ${dotted(view)}`, view.dependsOn ?? []])));
  const rank = (id: string) => {
    const { kind, unit, item } = found.get(id) as SchemaObject;
    if (unit.startsWith('view '))
      return DROP_ORDER.indexOf('materialized view') + (views.length - views.indexOf(unit)) / (views.length + 1);
    const isForeign = kind === 'constraint' && (item as Constraint).kind === 'foreign key';
    const at = DROP_ORDER.indexOf(isForeign ? 'foreign key' : kind);
    return at >= 0 ? at : DROP_ORDER.length + STANDALONE.indexOf(kind);
  };
  return drop.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
