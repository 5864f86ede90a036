import type { ParsedStatement } from '../../postgres/parser.js';
import type { Rule, RuleContext } from '../rule.js';
import { commandsOf, constraintsOf, type Node, NUMBERED, nameOf, typeOf } from '../tree.js';
import { volatility } from '../volatility.js';
import { onlyWidens } from '../widening.js';

/** Columns that an ALTER TABLE adds to a table that others use. */
function added(
  statement: ParsedStatement,
  { known }: RuleContext,
): { table: string; column: Node; constraints: Map<string, Node> }[] {
  return commandsOf(statement).flatMap((cmd) => {
    const table = nameOf(statement.node.relation);
    if (cmd.subtype !== 'AT_AddColumn' || known.isFresh(table)) return [];
    return [{ table, column: cmd.def.ColumnDef, constraints: constraintsOf(cmd.def.ColumnDef) }];
  });
}

/** Subcommands of these kinds on a table that others use. */
function altered(
  statement: ParsedStatement,
  { known }: RuleContext,
  ...kinds: string[]
): { table: string; cmd: Node }[] {
  return commandsOf(statement).flatMap((cmd) => {
    const table = nameOf(statement.node.relation);
    return kinds.includes(cmd.subtype) && !known.isFresh(table) ? [{ table, cmd }] : [];
  });
}

export const columnRules: Rule[] = [
  {
    id: 'add-column-volatile-default',
    why: 'a default that differs from row to row rewrites the table under a lock that stops all reads and writes',
    safe: 'add the column without the default, then ALTER COLUMN … SET DEFAULT, then fill old rows in batches',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) => {
        const found = constraints.get('CONSTR_DEFAULT');
        const kind = found ? volatility(found.raw_expr) : 'stable';
        if (kind === 'stable') return [];
        const what = kind === 'volatile' ? 'is volatile' : 'calls a function that may be volatile';
        return [`the default of ${table}.${column.colname} ${what}`];
      }),
  },
  {
    id: 'add-column-identity',
    why: 'a serial or identity column numbers every row: the table is rewritten under a lock that stops all reads and writes',
    safe: 'add a plain bigint column, fill it in batches, then ALTER COLUMN … ADD GENERATED AS IDENTITY',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) =>
        constraints.has('CONSTR_IDENTITY') || NUMBERED.has(typeOf(column.typeName))
          ? [`${table}.${column.colname} numbers all rows`]
          : [],
      ),
  },
  {
    id: 'add-column-generated',
    why: 'a stored generated column is computed for every row: the table is rewritten under a lock that stops all reads and writes',
    safe: 'add a plain column, fill it in batches, and keep it current by a trigger; or compute it in a view',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) =>
        constraints.get('CONSTR_GENERATED')?.generated_kind === 's'
          ? [`${table}.${column.colname} is generated and stored`]
          : [],
      ),
  },
  {
    id: 'add-column-not-null',
    why: 'it fails when the table holds rows, and the INSERTs of pods that still run do not know the column',
    safe: 'add it with a constant DEFAULT, or nullable',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) => {
        const filled = ['CONSTR_DEFAULT', 'CONSTR_GENERATED', 'CONSTR_IDENTITY'].some((kind) => constraints.has(kind));
        const required = constraints.has('CONSTR_NOTNULL') || constraints.has('CONSTR_PRIMARY');
        return required && !filled && !NUMBERED.has(typeOf(column.typeName))
          ? [`${table}.${column.colname} is NOT NULL without a default`]
          : [];
      }),
  },
  {
    id: 'add-column-unique',
    why: 'the index is built under a lock that stops all reads and writes',
    safe: 'add the column, CREATE UNIQUE INDEX CONCURRENTLY in a no-transaction migration, then ADD CONSTRAINT … USING INDEX',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) =>
        constraints.has('CONSTR_UNIQUE') || constraints.has('CONSTR_PRIMARY')
          ? [`${table}.${column.colname} is unique from the start`]
          : [],
      ),
  },
  {
    id: 'add-column-check',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'add the column, then ADD CONSTRAINT … CHECK (…) NOT VALID, then VALIDATE CONSTRAINT in a later migration',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column, constraints }) =>
        constraints.has('CONSTR_CHECK') ? [`${table}.${column.colname} comes with a CHECK`] : [],
      ),
  },
  {
    id: 'add-column-json',
    why: 'json has no equality operator: SELECT DISTINCT and GROUP BY over all columns fail from then on',
    safe: 'use jsonb',
    check: (statement, ctx) =>
      added(statement, ctx).flatMap(({ table, column }) =>
        typeOf(column.typeName) === 'json' ? [`${table}.${column.colname} is json`] : [],
      ),
  },
  {
    id: 'change-column-type',
    why: 'the table and its indexes are rewritten under a lock that stops all reads and writes, and pods that still run expect the old type',
    safe: 'add a new column, write both, fill it in batches, switch over, drop the old one later',
    check: (statement, ctx) =>
      altered(statement, ctx, 'AT_AlterColumnType').flatMap(({ table, cmd }) => {
        const [from, to] = [ctx.known.typeOf(table, cmd.name), typeOf(cmd.def.ColumnDef.typeName)];
        if (from !== undefined && !cmd.def.ColumnDef.raw_default && onlyWidens(from, to)) return [];
        return [`${table}.${cmd.name} changes its type${from ? ` from ${from}` : ''} to ${to}`];
      }),
  },
  {
    id: 'set-not-null',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in a later migration; then SET NOT NULL needs no scan',
    check: (statement, ctx) =>
      altered(statement, ctx, 'AT_SetNotNull').flatMap(({ table, cmd }) =>
        ctx.known.isProvenNotNull(table, cmd.name)
          ? []
          : [`nothing proves yet that ${table}.${cmd.name} holds no NULL`],
      ),
  },
  {
    id: 'drop-not-null',
    why: 'pods that still run do not expect NULL, and its down migration needs all rows filled',
    safe: 'do it when no old pod reads the column; then suppress this with the reason',
    check: (statement, ctx) =>
      altered(statement, ctx, 'AT_DropNotNull').map(({ table, cmd }) => `${table}.${cmd.name} may be NULL from now on`),
  },
  {
    id: 'drop-default',
    why: 'the INSERTs of pods that still run may rely on it',
    safe: 'drop it when no old pod writes the table; then suppress this with the reason',
    check: (statement, ctx) =>
      altered(statement, ctx, 'AT_ColumnDefault').flatMap(({ table, cmd }) =>
        cmd.def ? [] : [`the default of ${table}.${cmd.name} is dropped`],
      ),
  },
  {
    id: 'rewrite-table',
    why: 'the table is written anew under a lock that stops all reads and writes',
    safe: 'leave it out, or do it in a maintenance window by hand',
    check: (statement, ctx) =>
      altered(
        statement,
        ctx,
        'AT_SetLogged',
        'AT_SetUnLogged',
        'AT_SetTableSpace',
        'AT_SetAccessMethod',
        'AT_SetExpression',
      ).map(({ table, cmd }) => `${cmd.subtype.replace('AT_Set', 'SET ').toUpperCase()} rewrites ${table}`),
  },
];
