import { createAll } from './ddl/create.js';
import { dotted, statement } from './ddl/names.js';
import { inOrder } from './ddl/units.js';
import type { Difference } from './diff.js';
import { alterStatements, isRemade } from './fix-alter.js';
import { dropStatement } from './fix-drop.js';
import type { Schema } from './model.js';
import { objectsOf, type SchemaObject } from './objects.js';

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
  const [wantedObjects, found] = [objectsOf(expected), objectsOf(actual)];
  const make = new Set<string>();
  const drop = new Set<string>();
  const extra = new Set<string>();
  /** What is in the way and no migration has made. */
  const restore = new Set<string>();
  const changed = new Map<string, Difference[]>();
  for (const difference of differences) {
    if (difference.change === 'missing') make.add(difference.object);
    else if (difference.change === 'extra') extra.add(difference.object);
    else changed.set(difference.object, [...(changed.get(difference.object) ?? []), difference]);
  }
  const remake = (id: string) => {
    if (found.has(id)) drop.add(id);
    if (wantedObjects.has(id)) make.add(id);
    else restore.add(id);
  };
  for (const [id, list] of changed) if (isRemade(wantedObjects.get(id) as SchemaObject, list)) remake(id);
  for (const id of inTheWay(drop, changed, actual)) remake(id);

  const drops = sortedDrops(drop, found, actual);
  const before = (id: string) =>
    [...STANDALONE, 'schema', 'extension'].includes((wantedObjects.get(id) ?? found.get(id))?.kind ?? '');
  const lines = [
    ...drops.filter((id) => !before(id)).flatMap((id) => dropStatement(id, actual)),
    ...createAll(expected, (id) => make.has(id) && before(id)),
    ...[...changed]
      .filter(([id]) => !make.has(id))
      .flatMap(([id, list]) => alterStatements(id, list, expected, actual)),
    ...drops.filter(before).flatMap((id) => dropStatement(id, actual)),
    ...createAll(expected, (id) => make.has(id) && !before(id)),
    ...createAll(actual, (id) => restore.has(id)),
  ];
  const left = sortedDrops(extra, found, actual).flatMap((id) => dropStatement(id, actual));
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

/** Keys to a primary key that goes, views on a table that changes, indexes and constraints on a column that is made anew. */
function inTheWay(drop: ReadonlySet<string>, changed: ReadonlyMap<string, Difference[]>, actual: Schema): Set<string> {
  const out = new Set<string>();
  const touched = new Set<string>();
  for (const id of [...drop, ...changed.keys()]) {
    const list = changed.get(id);
    if (/^(table|view|materialized view) /.test(id)) {
      if (drop.has(id)) touched.add(id.replace('materialized ', ''));
    } else if (
      id.startsWith('column ') &&
      (drop.has(id) || list?.some(({ property = '' }) => ['type', 'collation', 'generated'].includes(property)))
    )
      touched.add(`table ${list?.[0]?.group ?? id.slice('column '.length, id.lastIndexOf('.'))}`);
  }
  for (const table of actual.tables) {
    const name = dotted(table);
    const keys = table.constraints.filter(({ kind }) => kind === 'primary key' || kind === 'unique');
    const loses = keys.some((key) => drop.has(`constraint ${name}.${key.name}`));
    if (loses) {
      for (const other of actual.tables)
        for (const { name: key, references } of other.constraints)
          if (references && `${references.schema}.${references.table}` === name)
            out.add(`constraint ${dotted(other)}.${key}`);
    }
    for (const column of table.columns) {
      if (!drop.has(`column ${name}.${column.name}`)) continue;
      for (const part of table.constraints)
        if (part.columns.includes(column.name)) out.add(`constraint ${name}.${part.name}`);
      for (const part of table.indexes)
        if (part.definition.includes(column.name)) out.add(`index ${name}.${part.name}`);
    }
  }
  // Views stand on views.
  for (let before = -1; before !== touched.size; ) {
    before = touched.size;
    for (const view of actual.views) {
      const id = `view ${dotted(view)}`;
      if (touched.has(id) || !view.dependsOn?.some((needed) => touched.has(needed))) continue;
      touched.add(id);
      out.add(`${view.kind} ${dotted(view)}`);
    }
  }
  return out;
}

function sortedDrops(drop: ReadonlySet<string>, found: ReadonlyMap<string, SchemaObject>, actual: Schema): string[] {
  const views = inOrder(new Map(actual.views.map((view) => [`view ${dotted(view)}`, view.dependsOn ?? []])));
  const rank = (id: string) => {
    const object = found.get(id);
    if (object?.kind === 'constraint' && object.facts.kind === 'foreign key') return DROP_ORDER.indexOf('foreign key');
    if (object?.kind.endsWith('view')) {
      const at = views.indexOf(id.replace('materialized ', ''));
      return DROP_ORDER.indexOf('materialized view') + (views.length - at) / (views.length + 1);
    }
    const at = DROP_ORDER.indexOf(object?.kind ?? '');
    return at >= 0 ? at : DROP_ORDER.length + STANDALONE.indexOf(object?.kind ?? '');
  };
  // A part goes with what goes anyway, unless it must go before (a key to another table that goes too).
  const ids = [...drop].filter((id) => found.has(id));
  return ids.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
