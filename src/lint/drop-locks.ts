import type { Known } from './known.js';
import { locked, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { dropped, type Node, nameOfParts } from './tree.js';

/** Table locks of a DROP. */
export function dropLocks(node: Node, known: Known): TableLock[] {
  const { relations } = known;
  const names = dropped(node);
  const cascades = node.behavior === 'DROP_CASCADE';
  const tables = names.map(nameOfParts);
  switch (node.removeType) {
    case 'OBJECT_TABLE':
      return locked(
        tables.flatMap((table) => [
          table,
          ...goneWith(table, relations),
          ...(cascades ? dependent(table, relations) : []),
        ]),
        'ACCESS EXCLUSIVE',
      );
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
      return locked(
        tables.flatMap((name) => [
          name,
          ...(cascades ? [...relations.viewsOver(name), ...relations.tablesOfSequence(name)] : []),
        ]),
        'ACCESS EXCLUSIVE',
      );
    case 'OBJECT_INDEX': {
      const of = names.flatMap((parts) => known.tableOfIndex(parts.at(-1) as string) ?? []);
      return locked(
        of.flatMap((table) => [table, ...relations.partitionsOf(table)]),
        node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
      );
    }
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE':
      return locked(
        names.map((parts) => nameOfParts(parts.slice(0, -1))),
        'ACCESS EXCLUSIVE',
      );
    case 'OBJECT_STATISTIC_EXT':
      return locked(
        tables.flatMap((name) => relations.tableOfStatistics(name) ?? []),
        'SHARE UPDATE EXCLUSIVE',
      );
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return locked(cascades ? names.flatMap((parts) => known.tablesWith(parts.at(-1))) : [], 'ACCESS EXCLUSIVE');
    default:
      return [];
  }
}

/** What is locked with a table that is dropped: its partitions and sequences, what it refers to, and what it is a partition of. */
function goneWith(table: string, relations: Relations): string[] {
  const whole = relations.wholeOf(table);
  const rest = whole === undefined ? undefined : relations.defaultPartitionOf(whole);
  return [
    ...relations.partitionsOf(table),
    ...relations.sequencesOf(table),
    ...relations.foreignKeysOf(table).map(({ to }) => to),
    ...(whole === undefined ? [] : [whole]),
    ...(rest === undefined ? [] : [rest]),
  ];
}

/** What CASCADE takes along. */
function dependent(table: string, relations: Relations): string[] {
  return [
    ...relations.descendantsOf(table),
    ...relations.foreignKeysTo(table).map((key) => key.table),
    ...relations.viewsOver(table),
  ];
}
