import type { ParsedStatement } from '../postgres/parser.js';
import { alterLocks, referenced } from './alter-locks.js';
import { dropLocks } from './drop-locks.js';
import { Known } from './known.js';
import { LOCK_ORDER, type LockMode, locked, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { find, findEach, hasOption, type Node, nameOf, nameOfParts, stringsIn } from './tree.js';

/**
 * The table locks that a statement takes, and whether it rewrites the table. Pure. Who is locked with a table (partitions, heirs, the other side of
 * foreign keys, sequences, views) is known from earlier statements; of what only the catalog knows, nothing is said.
 * Where versions differ, the stronger lock is given. test/fixtures/locks has the statements that this is held against on real servers.
 * @param known what earlier statements say of the schema
 */
export function locksOf(
  { type, node }: Pick<ParsedStatement, 'type' | 'node'>,
  known: Known = new Known(),
): TableLock[] {
  return LOCKS[type]?.(node, known) ?? [];
}

/** By kind of statement; what is not here locks no table. */
const LOCKS: Readonly<Record<string, (node: Node, known: Known) => TableLock[]>> = {
  CreateStmt: createTable,
  CreateTableAsStmt: (node) => [...madeBy(node.into.rel), ...reads(node.query)],
  CreateSchemaStmt: withSchema,
  IndexStmt: ({ relation, concurrent }, known) =>
    locked(partitions(relation, known), concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'),
  CreateTrigStmt: createTrigger,
  CreatePolicyStmt: ({ table }) => locked([nameOf(table)], 'ACCESS EXCLUSIVE'),
  AlterPolicyStmt: ({ table }) => locked([nameOf(table)], 'ACCESS EXCLUSIVE'),
  RuleStmt: ({ relation }) => locked([nameOf(relation)], 'ACCESS EXCLUSIVE'),
  CreateStatsStmt: ({ relations }) => locked(tablesIn(relations), 'SHARE UPDATE EXCLUSIVE'),
  CreatePublicationStmt: publication,
  AlterPublicationStmt: publication,
  ViewStmt: createView,
  CommentStmt: comment,

  AlterTableStmt: (node, { relations }) => alterLocks(node, relations),
  RenameStmt: rename,
  AlterObjectSchemaStmt: ({ relation }, { relations }) =>
    relation ? locked([nameOf(relation), ...relations.sequencesOf(nameOf(relation))], 'ACCESS EXCLUSIVE') : [],
  AlterDomainStmt: alterDomain,
  AlterSeqStmt: ({ sequence }) => locked([nameOf(sequence)], 'SHARE ROW EXCLUSIVE'),
  DropStmt: dropLocks,

  TruncateStmt: truncate,
  VacuumStmt: vacuum,
  ClusterStmt: ({ relation }) => (relation ? locked([nameOf(relation)], 'ACCESS EXCLUSIVE', 'yes') : []),
  ReindexStmt: reindex,
  RefreshMatViewStmt: ({ relation, concurrent }) =>
    concurrent ? locked([nameOf(relation)], 'EXCLUSIVE') : locked([nameOf(relation)], 'ACCESS EXCLUSIVE', 'yes'),
  LockStmt: lockTables,

  InsertStmt: writes,
  UpdateStmt: writes,
  DeleteStmt: writes,
  MergeStmt: writes,
  CopyStmt: ({ relation, is_from }) =>
    relation ? locked([nameOf(relation)], is_from ? 'ROW EXCLUSIVE' : 'ACCESS SHARE') : [],
  SelectStmt: reads,
};

const tablesIn = (ranges: Node[]): string[] => ranges.map(({ RangeVar }) => nameOf(RangeVar));

/** A table with its partitions, unless ONLY stands before it. */
function partitions(range: Node, { relations }: Known): string[] {
  return [nameOf(range), ...(range.inh ? relations.partitionsOf(nameOf(range)) : [])];
}

/** The same with its heirs. */
function family(range: Node, { relations }: Known): string[] {
  return [nameOf(range), ...(range.inh ? relations.descendantsOf(nameOf(range)) : [])];
}

function madeBy(relation: Node): TableLock[] {
  return [{ table: nameOf(relation), mode: 'ACCESS EXCLUSIVE', rewrite: 'no', creates: true }];
}

function createTable({ relation, inhRelations = [], partbound, tableElts }: Node, { relations }: Known): TableLock[] {
  const parents = tablesIn(inhRelations);
  const rest = partbound ? parents.map((table) => relations.defaultPartitions.get(table)) : [];
  const like = find(tableElts, 'TableLikeClause').map((clause) => nameOf(clause.relation));
  return [
    ...madeBy(relation),
    ...locked(parents, partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE'),
    ...locked(rest, 'ACCESS EXCLUSIVE'),
    ...referenced(tableElts, relations).filter(({ table }) => table !== nameOf(relation)),
    ...locked(like, 'ACCESS SHARE'),
  ];
}

/** Of what is made with a schema, the tables elsewhere. */
function withSchema(node: Node, known: Known): TableLock[] {
  const locks = ((node.schemaElts ?? []) as Node[]).flatMap((element) => {
    const [[type, made]] = Object.entries(element) as [[string, Node]];
    return locksOf({ type, node: made }, known);
  });
  const own = new Set(locks.flatMap(({ table, creates }) => (creates ? [table] : [])));
  return locks.filter(({ table }) => !own.has(table));
}

function createTrigger({ relation, row, constrrel }: Node, known: Known): TableLock[] {
  return [
    ...locked(row ? partitions(relation, known) : [nameOf(relation)], 'SHARE ROW EXCLUSIVE'),
    ...(constrrel ? locked([nameOf(constrrel)], 'ACCESS SHARE') : []),
  ];
}

function publication(node: Node): TableLock[] {
  const tables = find(node, 'pubtable').map(({ relation }) => nameOf(relation));
  return locked(tables, 'SHARE UPDATE EXCLUSIVE');
}

function createView({ view, replace, query }: Node, { relations }: Known): TableLock[] {
  const replaced = replace && relations.views.has(nameOf(view));
  return [...locked(replaced ? [nameOf(view)] : [], 'ACCESS EXCLUSIVE'), ...reads(query)];
}

function comment({ objtype, object }: Node): TableLock[] {
  const parts = stringsIn([object]);
  const isRelation = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE'].includes(objtype);
  if (!isRelation && objtype !== 'OBJECT_COLUMN') return [];
  return locked([nameOfParts(isRelation ? parts : parts.slice(0, -1))], 'SHARE UPDATE EXCLUSIVE');
}

/** An index is renamed under a lock on itself alone. */
function rename({ relation, renameType }: Node, known: Known): TableLock[] {
  if (!relation || renameType === 'OBJECT_INDEX') return [];
  const recurses = ['OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT'].includes(renameType);
  return locked(recurses ? family(relation, known) : [nameOf(relation)], 'ACCESS EXCLUSIVE');
}

/** ADD CONSTRAINT, VALIDATE and SET NOT NULL look at the rows. */
function alterDomain({ subtype, def, typeName }: Node, known: Known): TableLock[] {
  if (!['C', 'V', 'O'].includes(subtype) || def?.Constraint?.skip_validation) return [];
  return locked(known.tablesWith(stringsIn(typeName).at(-1)), 'SHARE');
}

function truncate(node: Node, known: Known): TableLock[] {
  const { relations } = known;
  const named = (node.relations as Node[]).flatMap(({ RangeVar }) => family(RangeVar, known));
  const cascades = node.behavior === 'DROP_CASCADE';
  const all = [...named, ...(cascades ? named.flatMap((table) => referring(table, relations)) : [])];
  const sequences = node.restart_seqs ? all.flatMap((table) => relations.sequencesOf(table)) : [];
  return [
    ...all.flatMap((table) => locked([table], 'ACCESS EXCLUSIVE', relations.partitioned.has(table) ? 'no' : 'yes')),
    ...locked(sequences, 'ACCESS EXCLUSIVE', 'maybe'),
  ];
}

/** Tables whose foreign keys refer to this one, and those that refer to them. */
function referring(table: string, relations: Relations): string[] {
  const own = relations.foreignKeysTo(table).filter((key) => key.table !== table);
  return own.flatMap((key) => [key.table, ...referring(key.table, relations)]);
}

function vacuum(node: Node, known: Known): TableLock[] {
  const tables = ((node.rels ?? []) as Node[]).flatMap(({ VacuumRelation }) =>
    partitions(VacuumRelation.relation, known),
  );
  const full = node.is_vacuumcmd && hasOption(node, 'full');
  return full ? locked(tables, 'ACCESS EXCLUSIVE', 'yes') : locked(tables, 'SHARE UPDATE EXCLUSIVE');
}

function reindex(node: Node, known: Known): TableLock[] {
  const mode = hasOption(node, 'concurrently') ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE';
  if (node.kind === 'REINDEX_OBJECT_TABLE') return locked(partitions(node.relation, known), mode);
  return node.kind === 'REINDEX_OBJECT_INDEX' ? locked([known.indexes.get(node.relation.relname)], mode) : [];
}

function lockTables(node: Node, known: Known): TableLock[] {
  const tables = (node.relations as Node[]).flatMap(({ RangeVar }) => [
    ...family(RangeVar, known),
    ...behind(nameOf(RangeVar), known.relations),
  ]);
  return locked(tables, LOCK_ORDER[node.mode - 1] as LockMode);
}

/** What a view reads, and what the views that it reads do. */
function behind(view: string, relations: Relations): string[] {
  return (relations.views.get(view) ?? []).flatMap((table) => [table, ...behind(table, relations)]);
}

function writes(node: Node): TableLock[] {
  return [...locked([nameOf(node.relation)], 'ROW EXCLUSIVE'), ...reads({ ...node, relation: undefined })];
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
