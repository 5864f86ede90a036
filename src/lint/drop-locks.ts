import type { Known } from './known.js';
import { locked, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { dropped, type Node, nameOfParts } from './tree.js';

/** Table locks of a DROP. */
export function dropLocks(node: Node, known: Known): TableLock[] {
  const mode =
    node.concurrent || node.removeType === 'OBJECT_STATISTIC_EXT' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
  return locked(
    dropped(node).flatMap((parts) => lockedBy(node, parts, known)),
    mode,
  );
}

/** What is locked for one of its objects. */
function lockedBy({ removeType, behavior }: Node, parts: string[], known: Known): (string | undefined)[] {
  const { relations } = known;
  const cascades = behavior === 'DROP_CASCADE';
  const name = nameOfParts(parts);
  switch (removeType) {
    case 'OBJECT_TABLE':
      return [name, ...goneWith(name, relations), ...(cascades ? dependent(name, relations) : [])];
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
      return [name, ...(cascades ? [...relations.viewsOver(name), ...relations.tablesOfSequence(name)] : [])];
    case 'OBJECT_INDEX': {
      const table = known.indexes.get(parts.at(-1) as string);
      return table === undefined ? [] : [table, ...relations.partitionsOf(table)];
    }
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE':
      return [nameOfParts(parts.slice(0, -1))];
    case 'OBJECT_STATISTIC_EXT':
      return [relations.statistics.get(name)];
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return cascades ? known.tablesWith(parts.at(-1)) : [];
    default:
      return [];
  }
}

/** What is locked with a table that is dropped: its partitions and sequences, what it refers to, and what it is a partition of. */
function goneWith(table: string, relations: Relations): (string | undefined)[] {
  const whole = relations.wholeOf(table);
  return [
    ...relations.partitionsOf(table),
    ...relations.sequencesOf(table),
    ...relations.foreignKeysOf(table).map(({ to }) => to),
    whole,
    relations.defaultPartitions.get(whole ?? ''),
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
