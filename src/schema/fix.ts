import { groupBy, partition } from '../app/group-by.js';
import { createAll, inOrder, needsOf, parentsFirst } from './ddl/create.js';
import { comment, dotted, ident, qualified, statement } from './ddl/names.js';
import { sequenceOwner } from './ddl/others.js';
import type { Difference } from './diff.js';
import { alterStatements, isRemade } from './fix-alter.js';
import type { Column, Constraint, Index, Schema, Table, Trigger, View } from './model.js';
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
  const [wanted, found] = [objectsOf(parentsFirst(expected)), objectsOf(actual)];
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
  for (const [id, list] of changed)
    if (isRemade(wanted.get(id) as SchemaObject, found.get(id) as SchemaObject, list)) remake(id);
  inTheWay(drop, changed, found, remake);
  // What goes with it, and no migration has made.
  for (const { id, kind, parent = '' } of found.values())
    if (drop.has(parent) && !wanted.has(id) && kind !== 'column') make.add(id);

  const later = standingOn(make, expected);
  const isFirst = (id: string) => {
    const { kind = '', unit = '' } = wanted.get(id) ?? found.get(id) ?? {};
    return [...STANDALONE, 'schema', 'extension'].includes(kind) && !later.has(unit);
  };
  const dropAll = (list: readonly string[]) => list.flatMap((id) => dropStatement(found.get(id) as SchemaObject));
  // A sequence is made before its column.
  const unowned = expected.sequences.map(({ ownedBy: _, ...sequence }) => sequence);
  const extra = ids('extra');
  const alter = (which: (object: SchemaObject, difference: Difference) => boolean) =>
    [...wanted.values()].flatMap((object) => {
      const all = make.has(object.id) ? [] : (changed.get(object.id) ?? []);
      const list = all.filter((difference) => which(object, difference));
      return list.length > 0 ? alterStatements(object, found.get(object.id) as SchemaObject, list) : [];
    });
  const isHeld = heldByKeys(extra.map((id) => found.get(id) as SchemaObject));
  const waits = (object: SchemaObject, { property }: Difference) => property === 'notNull' && isHeld(object);
  const altered = alter((object, difference) => !waits(object, difference));
  const [labels, others] = partition(altered, (line) => / ADD VALUE /.test(line) && line.startsWith('ALTER TYPE '));
  // A function that is made late may give one.
  const [defaults, alters] = partition(others, (line) => / SET DEFAULT /.test(line) && line.startsWith('ALTER TABLE '));
  const lines = [
    ...dropAll(sortedDrops([...drop], found, actual)),
    ...createAll({ ...expected, sequences: unowned }, (id) => make.has(id) && isFirst(id)),
    ...alters,
    ...createAll(expected, (id) => make.has(id) && !isFirst(id)),
    ...expected.sequences.flatMap((sequence) =>
      make.has(`sequence ${dotted(sequence)}`) ? sequenceOwner(sequence) : [],
    ),
    ...defaults,
    // What was in the way and no migration has made.
    ...createAll(actual, (id) => make.has(id) && !wanted.has(id)),
    ...usesOfIndexes(drop, changed, wanted, found),
  ];
  const left = [...dropAll(sortedDrops(extra, found, actual)), ...alter(waits)];
  return script(labels, lines, left);
}

/** @param labels of enums, which nobody can use within the transaction that adds them @param left to whoever reads it */
function script(labels: readonly string[], lines: readonly string[], left: readonly string[]): string {
  return [
    '-- What brings this database back to the expected schema. Read it before you run it.',
    ...labels.map(statement),
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

/** Only without the primary key that somebody has added may its columns be NULL again. @param extra that nobody has asked for */
function heldByKeys(extra: readonly SchemaObject[]): (object: SchemaObject) => boolean {
  const held = extra.flatMap(({ kind, parent, item }) => {
    const key = item as Constraint;
    return kind === 'constraint' && key.kind === 'primary key' ? key.columns.map((name) => `${parent}\0${name}`) : [];
  });
  return ({ kind, parent, item }) => kind === 'column' && held.includes(`${parent}\0${(item as Column).name}`);
}

const LOSES = /^(DROP TABLE|DROP SEQUENCE|ALTER TABLE .* DROP COLUMN)/;

/** DROP for an object of the live catalog; a line for a person where kasm-db has no statement. */
function dropStatement({ id, kind, target, item, relation }: SchemaObject): string[] {
  if (target === '') return [comment(`By hand: drop ${id}`)];
  const { name, inherited } = item as Trigger;
  if (kind === 'trigger' && inherited)
    return [comment(`By hand: enable or disable ${id} as on the table that it comes from`)];
  // It goes with its parent's.
  if (kind === 'column' && inherited) return [];
  // It may have gone with its column.
  if (kind === 'sequence') return [`DROP ${target.replace('SEQUENCE', 'SEQUENCE IF EXISTS')}`];
  if (kind !== 'column' && kind !== 'constraint') return [`DROP ${target}`];
  const whole = relation ? `TABLE ${qualified(relation)}` : target.slice(target.indexOf(' ON DOMAIN ') + ' ON '.length);
  return [`ALTER ${whole} DROP ${kind.toUpperCase()} ${ident(name)}`];
}

/** Units that cannot be there before a table, view or column that is made, so that they are made with those. */
function standingOn(make: ReadonlySet<string>, expected: Schema): Set<string> {
  const needs = needsOf(expected);
  const objects = objectsOf(expected);
  const standing = new Set<string>();
  for (const { id, kind, unit, parent = '' } of objects.values()) {
    if (!make.has(id)) continue;
    if (isOnRelation(unit)) standing.add(unit);
    if (kind === 'column') standing.add((objects.get(parent) as SchemaObject).unit);
  }
  for (const unit of inOrder(needs)) if (needs.get(unit)?.some((needed) => standing.has(needed))) standing.add(unit);
  return standing;
}

/** What indexes are used for besides finding rows, where they were made anew or were missing. */
function usesOfIndexes(
  drop: ReadonlySet<string>,
  changed: ReadonlyMap<string, Difference[]>,
  wanted: Objects,
  found: Objects,
): string[] {
  const remade = [...drop].flatMap((id) => {
    const object = found.get(id) as SchemaObject;
    return object.kind === 'index' || object.kind === 'constraint' ? [object] : [];
  });
  const clustered = remade.flatMap(({ item, relation }) => {
    const { name } = item as Index;
    return relation?.clusterOn === name ? [`ALTER TABLE ${qualified(relation)} CLUSTER ON ${ident(name)}`] : [];
  });
  const isLost = (id: string) =>
    remade.some(({ parent }) => parent === id) ||
    changed.get(id)?.some(({ property }) => property === 'replicaIdentity');
  const identities = [...wanted.values()].flatMap(({ id, kind, target, item }) => {
    const { replicaIdentity = '' } = item as Table;
    return kind === 'table' && replicaIdentity.startsWith('USING ') && isLost(id)
      ? [`ALTER ${target} REPLICA IDENTITY ${replicaIdentity}`]
      : [];
  });
  return [...clustered, ...identities];
}

const isOnRelation = (unit: string) => /^(table|view) /.test(unit);

/**
 * Keys to a unique index that goes, views on a table that changes, and what stands on a column that is made anew or gets another type.
 * @param remake takes what is in the way
 */
function inTheWay(
  drop: ReadonlySet<string>,
  changed: ReadonlyMap<string, Difference[]>,
  found: Objects,
  remake: (id: string) => void,
): void {
  const retyped = [...changed].flatMap(([id, list]) =>
    list.some(({ property = '' }) => ['type', 'collation'].includes(property)) ? [id] : [],
  );
  const views = [...found.values()].filter(({ unit }) => unit.startsWith('view '));
  const seen = new Set<string>();
  const look = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    const { kind, unit, item, relation, parent = '' } = found.get(id) as SchemaObject;
    const isGone = drop.has(id);
    const isUnique = kind === 'index' ? (item as Index).unique : UNIQUE.includes((item as Constraint).kind);
    const isKey = isGone && isUnique && (kind === 'index' || kind === 'constraint');
    const touched = kind === 'column' ? found.get(parent)?.unit : isOnRelation(unit) ? unit : undefined;
    for (const object of found.values()) {
      const { references } = object.item as Constraint;
      const isKeyTo = isKey && references?.schema === relation?.schema && references?.table === relation?.name;
      const isPart = kind === 'column' && object.parent === parent && object.id !== id;
      if (isKeyTo || (isPart && standsOn(object, (item as Column).name, isGone))) add(object.id);
    }
    for (const view of views) {
      const { dependsOn, definition } = view.item as View;
      // A query may rely on a primary key.
      const isGrouped =
        isKey &&
        kind === 'constraint' &&
        / GROUP BY /.test(definition) &&
        dependsOn?.includes(found.get(parent)?.unit ?? '');
      if ((touched !== undefined && dependsOn?.includes(touched)) || isGrouped) add(view.id);
    }
  };
  const add = (id: string) => {
    remake(id);
    look(id);
  };
  for (const id of [...drop, ...retyped]) look(id);
}

const UNIQUE: string[] = ['primary key', 'unique'];

/** @param isGone the column is made anew; indexes and constraints follow another type */
function standsOn({ kind, item }: SchemaObject, column: string, isGone: boolean): boolean {
  if (kind === 'constraint') return isGone && (item as Constraint).columns.includes(column);
  if (kind === 'index' || kind === 'statistics') return isGone && (item as Index).definition.includes(column);
  if (kind === 'column') return 'generated' in item && !!(item as Column).default?.includes(column);
  return ['trigger', 'policy', 'rule'].includes(kind) && JSON.stringify(item).includes(column);
}

function sortedDrops(drop: readonly string[], found: Objects, actual: Schema): string[] {
  const needs = new Map<string, readonly string[]>([
    ...actual.tables.map((table): [string, string[]] => [
      `table ${dotted(table)}`,
      [...(table.dependsOn ?? []), ...table.constraints.flatMap(targetTable)],
    ]),
    ...actual.views.map((view): [string, string[]] => [`view ${dotted(view)}`, view.dependsOn ?? []]),
  ]);
  const order = inOrder(needs);
  const last = DROP_ORDER.length + STANDALONE.length;
  const rank = (id: string) => {
    const { kind, unit, item } = found.get(id) as SchemaObject;
    const isForeign = kind === 'constraint' && (item as Constraint).kind === 'foreign key';
    const name = isForeign ? 'foreign key' : unit.startsWith('view ') ? 'materialized view' : kind;
    const at = [...DROP_ORDER, ...STANDALONE].indexOf(name);
    // What stands on others goes before them; schemas and extensions go last.
    return (at < 0 ? last : at) + (needs.has(unit) ? (order.length - order.indexOf(unit)) / (order.length + 1) : 0);
  };
  return drop.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Where a foreign key leads. */
function targetTable({ references }: Constraint): string[] {
  return references ? [`table ${dotted({ schema: references.schema, name: references.table })}`] : [];
}
