import type { ParsedStatement } from '../postgres/parser.js';
import { alterLocks, locked, referenced } from './alter-locks.js';
import { Known } from './known.js';
import { LOCK_ORDER, type LockMode, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { dropped, find, findEach, hasOption, type Node, nameOf, nameOfParts, stringsIn } from './tree.js';

/**
 * The table locks that a statement takes, and whether it rewrites the table. Pure. Who is locked with a table (partitions, heirs, the other side of
 * foreign keys, sequences, views) is known from earlier statements; of what only the catalog knows, nothing is said.
 * Where versions differ, the stronger lock is given. test/fixtures/locks has the statements that this is held against on real servers.
 * @param known what earlier statements say of the schema
 */
export function locksOf(statement: ParsedStatement, known: Known = new Known()): TableLock[] {
  const { type, node } = statement;
  const { relations } = known;
  const partitions = (range: Node) => [nameOf(range), ...(range.inh ? relations.partitionsOf(nameOf(range)) : [])];
  const family = (range: Node) => [nameOf(range), ...(range.inh ? relations.descendantsOf(nameOf(range)) : [])];
  switch (type) {
    case 'CreateStmt':
      return create(node, relations);
    case 'CreateTableAsStmt':
      return [...madeBy(node.into.rel), ...reads(node.query)];
    case 'IndexStmt':
      return locked(partitions(node.relation), node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE');
    case 'AlterTableStmt':
      return alterLocks(statement, relations);
    case 'RenameStmt': {
      // An index is renamed under a lock on itself alone.
      if (!node.relation || node.renameType === 'OBJECT_INDEX') return [];
      const recurses = ['OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT'].includes(node.renameType);
      return locked(recurses ? family(node.relation) : [nameOf(node.relation)], 'ACCESS EXCLUSIVE');
    }
    case 'AlterObjectSchemaStmt': {
      if (!node.relation) return [];
      const table = nameOf(node.relation);
      return locked([table, ...relations.sequencesOf(table)], 'ACCESS EXCLUSIVE');
    }
    case 'AlterDomainStmt':
      // ADD CONSTRAINT, VALIDATE and SET NOT NULL look at the rows.
      return locked(
        ['C', 'V', 'O'].includes(node.subtype) && !node.def?.Constraint?.skip_validation
          ? known.tablesWith(stringsIn({ List: { items: node.typeName } }).at(-1))
          : [],
        'SHARE',
      );
    case 'CreateSchemaStmt':
      return withSchema(node, known);
    case 'DropStmt':
      return drop(node, known);
    case 'AlterSeqStmt':
      return locked([nameOf(node.sequence)], 'SHARE ROW EXCLUSIVE');
    case 'TruncateStmt':
      return truncate(node, relations);
    case 'CreateTrigStmt':
      return locked(node.row ? partitions(node.relation) : [nameOf(node.relation)], 'SHARE ROW EXCLUSIVE').concat(
        node.constrrel ? locked([nameOf(node.constrrel)], 'ACCESS SHARE') : [],
      );
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
      return locked([nameOf(node.table)], 'ACCESS EXCLUSIVE');
    case 'RuleStmt':
      return locked([nameOf(node.relation)], 'ACCESS EXCLUSIVE');
    case 'CommentStmt':
      return comment(node);
    case 'CreateStatsStmt':
      return locked(tablesIn(node.relations), 'SHARE UPDATE EXCLUSIVE');
    case 'CreatePublicationStmt':
    case 'AlterPublicationStmt':
      return locked(
        find(node, 'pubtable').map(({ relation }) => nameOf(relation)),
        'SHARE UPDATE EXCLUSIVE',
      );
    case 'VacuumStmt': {
      const tables = ((node.rels ?? []) as Node[]).flatMap(({ VacuumRelation }) => partitions(VacuumRelation.relation));
      const full = node.is_vacuumcmd && hasOption(node, 'full');
      return full ? locked(tables, 'ACCESS EXCLUSIVE', 'yes') : locked(tables, 'SHARE UPDATE EXCLUSIVE');
    }
    case 'ClusterStmt':
      return node.relation ? locked([nameOf(node.relation)], 'ACCESS EXCLUSIVE', 'yes') : [];
    case 'ReindexStmt': {
      const mode = hasOption(node, 'concurrently') ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE';
      if (node.kind === 'REINDEX_OBJECT_TABLE') return locked(partitions(node.relation), mode);
      const table = node.kind === 'REINDEX_OBJECT_INDEX' ? known.tableOfIndex(node.relation.relname) : undefined;
      return table === undefined ? [] : locked([table], mode);
    }
    case 'RefreshMatViewStmt':
      return node.concurrent
        ? locked([nameOf(node.relation)], 'EXCLUSIVE')
        : locked([nameOf(node.relation)], 'ACCESS EXCLUSIVE', 'yes');
    case 'LockStmt':
      return locked(
        (node.relations as Node[]).flatMap(({ RangeVar }) => [
          ...family(RangeVar),
          ...behind(nameOf(RangeVar), relations),
        ]),
        LOCK_ORDER[node.mode - 1] as LockMode,
      );
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return [...locked([nameOf(node.relation)], 'ROW EXCLUSIVE'), ...reads({ ...node, relation: undefined })];
    case 'CopyStmt':
      return node.relation ? locked([nameOf(node.relation)], node.is_from ? 'ROW EXCLUSIVE' : 'ACCESS SHARE') : [];
    case 'SelectStmt':
      return reads(node);
    case 'ViewStmt': {
      const view = nameOf(node.view);
      const replaced = node.replace && relations.readBy(view) !== undefined;
      return [...locked(replaced ? [view] : [], 'ACCESS EXCLUSIVE'), ...reads(node.query)];
    }
    default:
      return [];
  }
}

/** The strongest lock of a list. */
function strongest(locks: readonly TableLock[]): LockMode | undefined {
  return LOCK_ORDER[Math.max(-1, ...locks.map(({ mode }) => LOCK_ORDER.indexOf(mode)))];
}

/** One entry a table: its strongest lock, and the worst that is known of rewriting. */
export function byTable(locks: readonly TableLock[]): TableLock[] {
  const merged = new Map<string, TableLock>();
  for (const lock of locks) {
    const other = merged.get(lock.table);
    if (!other) merged.set(lock.table, lock);
    else {
      const rewrite = [other.rewrite, lock.rewrite].includes('yes')
        ? 'yes'
        : [other.rewrite, lock.rewrite].includes('maybe')
          ? 'maybe'
          : 'no';
      merged.set(lock.table, {
        ...other,
        mode: strongest([other, lock]) as LockMode,
        rewrite,
        ...(other.creates || lock.creates ? { creates: true as const } : {}),
      });
    }
  }
  return [...merged.values()];
}

function tablesIn(ranges: Node[]): string[] {
  return ranges.map(({ RangeVar }) => nameOf(RangeVar));
}

/** What a view reads, and what the views that it reads do. */
function behind(view: string, relations: Relations): string[] {
  return (relations.readBy(view) ?? []).flatMap((table) => [table, ...behind(table, relations)]);
}

function madeBy(relation: Node): TableLock[] {
  return [{ table: nameOf(relation), mode: 'ACCESS EXCLUSIVE', rewrite: 'no', creates: true }];
}

function create(node: Node, relations: Relations): TableLock[] {
  const parents = tablesIn(node.inhRelations ?? []);
  const rest = node.partbound ? parents.flatMap((table) => relations.defaultPartitionOf(table) ?? []) : [];
  const own = nameOf(node.relation);
  return [
    ...madeBy(node.relation),
    ...locked(parents, node.partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE'),
    ...locked(rest, 'ACCESS EXCLUSIVE'),
    ...referenced(node.tableElts, relations).filter(({ table }) => table !== own),
    ...locked(
      find(node.tableElts, 'TableLikeClause').map(({ relation }) => nameOf(relation)),
      'ACCESS SHARE',
    ),
  ];
}

/** Of what is made with a schema, the tables elsewhere. */
function withSchema(node: Node, known: Known): TableLock[] {
  const locks = ((node.schemaElts ?? []) as Node[]).flatMap((element) => {
    const [[type, made]] = Object.entries(element) as [[string, Node]];
    return locksOf({ type, node: made, sql: '', start: 0 }, known);
  });
  const own = new Set(locks.flatMap(({ table, creates }) => (creates ? [table] : [])));
  return locks.filter(({ table }) => !own.has(table));
}

function truncate(node: Node, relations: Relations): TableLock[] {
  const named = (node.relations as Node[]).flatMap(({ RangeVar }) => {
    const table = nameOf(RangeVar);
    return [table, ...(RangeVar.inh ? relations.descendantsOf(table) : [])];
  });
  const all =
    node.behavior === 'DROP_CASCADE' ? [...named, ...named.flatMap((table) => referring(table, relations))] : named;
  const sequences = node.restart_seqs ? all.flatMap((table) => relations.sequencesOf(table)) : [];
  return [
    ...all.flatMap((table) => locked([table], 'ACCESS EXCLUSIVE', relations.isPartitioned(table) ? 'no' : 'yes')),
    ...locked(sequences, 'ACCESS EXCLUSIVE', 'maybe'),
  ];
}

/** Tables whose foreign keys refer to this one, and those that refer to them. */
function referring(table: string, relations: Relations): string[] {
  const own = relations.foreignKeysTo(table).filter((key) => key.table !== table);
  return own.flatMap((key) => [key.table, ...referring(key.table, relations)]);
}

function drop(node: Node, known: Known): TableLock[] {
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

function comment(node: Node): TableLock[] {
  const parts = stringsIn(node.object);
  const lock = (table: string): TableLock[] => [{ table, mode: 'SHARE UPDATE EXCLUSIVE', rewrite: 'no' }];
  if (['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE'].includes(node.objtype))
    return lock(nameOfParts(parts));
  return node.objtype === 'OBJECT_COLUMN' ? lock(nameOfParts(parts.slice(0, -1))) : [];
}

/** Tables that a query reads. Names of WITH queries are none, nor are those that FOR UPDATE OF repeats. */
function reads(tree: Node): TableLock[] {
  const [queries = [], clauses = [], ranges = []] = findEach(tree, ['CommonTableExpr', 'LockingClause', 'RangeVar']);
  const own = new Set(queries.map(({ ctename }) => ctename));
  const repeated = clauses.flatMap(({ lockedRels = [] }) => lockedRels.map(({ RangeVar }: Node) => RangeVar));
  const isLocked = (range: Node) =>
    clauses.some(({ lockedRels }) => !lockedRels) ||
    repeated.some(({ relname }) => relname === (range.alias?.aliasname ?? range.relname));
  return ranges
    .filter((range) => !repeated.includes(range) && (range.schemaname || !own.has(range.relname)))
    .map((range) => ({ table: nameOf(range), mode: isLocked(range) ? 'ROW SHARE' : 'ACCESS SHARE', rewrite: 'no' }));
}
