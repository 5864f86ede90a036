import { eachCommand, type Rule, type Told } from '../rule.js';
import { constraintsOf, type Node, NUMBERED, typeOf } from '../tree.js';
import { volatility } from '../volatility.js';
import { onlyWidens } from '../widening.js';

interface Added {
  /** With its table. */
  name: string;
  type: string;
  constraints: Map<string, Node>;
}

/** A check of each column that an ALTER TABLE adds to a table that others use. */
const eachAdded = (tell: (column: Added) => Told) =>
  eachCommand(['AT_AddColumn'], ({ def: { ColumnDef } }, table) =>
    tell({
      name: `${table}.${ColumnDef.colname}`,
      type: typeOf(ColumnDef.typeName),
      constraints: constraintsOf(ColumnDef),
    }),
  );

/** Does it have a constraint of one of these kinds? */
const hasAny = ({ constraints }: Added, ...kinds: string[]) => kinds.some((kind) => constraints.has(`CONSTR_${kind}`));

export const columnRules: Rule[] = [
  {
    id: 'add-column-volatile-default',
    why: 'a default that differs from row to row rewrites the table under a lock that stops all reads and writes',
    safe: 'add the column without the default, then ALTER COLUMN … SET DEFAULT, then fill old rows in batches',
    check: eachAdded(({ name, constraints }) => {
      const found = constraints.get('CONSTR_DEFAULT');
      const kind = found ? volatility(found.raw_expr) : 'stable';
      if (kind === 'stable') return false;
      return `the default of ${name} ${kind === 'volatile' ? 'is volatile' : 'calls a function that may be volatile'}`;
    }),
  },
  {
    id: 'add-column-identity',
    why: 'a serial or identity column numbers every row: the table is rewritten under a lock that stops all reads and writes',
    safe: 'add a plain bigint column, fill it in batches, then ALTER COLUMN … ADD GENERATED AS IDENTITY',
    check: eachAdded(
      (column) => (hasAny(column, 'IDENTITY') || NUMBERED.has(column.type)) && `${column.name} numbers all rows`,
    ),
  },
  {
    id: 'add-column-generated',
    why: 'a stored generated column is computed for every row: the table is rewritten under a lock that stops all reads and writes',
    safe: 'add a plain column, fill it in batches, and keep it current by a trigger; or compute it in a view',
    check: eachAdded(
      ({ name, constraints }) =>
        constraints.get('CONSTR_GENERATED')?.generated_kind === 's' && `${name} is generated and stored`,
    ),
  },
  {
    id: 'add-column-not-null',
    why: 'it fails when the table holds rows, and the INSERTs of pods that still run do not know the column',
    safe: 'add it with a constant DEFAULT, or nullable',
    check: eachAdded((column) => {
      const filled = hasAny(column, 'DEFAULT', 'GENERATED', 'IDENTITY') || NUMBERED.has(column.type);
      return hasAny(column, 'NOTNULL', 'PRIMARY') && !filled && `${column.name} is NOT NULL without a default`;
    }),
  },
  {
    id: 'add-column-unique',
    why: 'the index is built under a lock that stops all reads and writes',
    safe: 'add the column, CREATE UNIQUE INDEX CONCURRENTLY in a no-transaction migration, then ADD CONSTRAINT … USING INDEX',
    check: eachAdded((column) => hasAny(column, 'UNIQUE', 'PRIMARY') && `${column.name} is unique from the start`),
  },
  {
    id: 'add-column-check',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'add the column, then ADD CONSTRAINT … CHECK (…) NOT VALID, then VALIDATE CONSTRAINT in a later migration',
    check: eachAdded((column) => hasAny(column, 'CHECK') && `${column.name} comes with a CHECK`),
  },
  {
    id: 'add-column-json',
    why: 'json has no equality operator: SELECT DISTINCT and GROUP BY over all columns fail from then on',
    safe: 'use jsonb',
    check: eachAdded(({ name, type }) => type === 'json' && `${name} is json`),
  },
  {
    id: 'change-column-type',
    why: 'the table and its indexes are rewritten under a lock that stops all reads and writes, and pods that still run expect the old type',
    safe: 'add a new column, write both, fill it in batches, switch over, drop the old one later',
    check: eachCommand(['AT_AlterColumnType'], ({ name, def: { ColumnDef } }, table, known) => {
      const [from, to] = [known.typeOf(table, name), typeOf(ColumnDef.typeName)];
      const widens = from !== undefined && !ColumnDef.raw_default && onlyWidens(from, to);
      return !widens && `${table}.${name} changes its type${from ? ` from ${from}` : ''} to ${to}`;
    }),
  },
  {
    id: 'set-not-null',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in a later migration; then SET NOT NULL needs no scan',
    check: eachCommand(
      ['AT_SetNotNull'],
      ({ name }, table, known) =>
        !known.isProvenNotNull(table, name) && `nothing proves yet that ${table}.${name} holds no NULL`,
    ),
  },
  {
    id: 'drop-not-null',
    why: 'pods that still run do not expect NULL, and its down migration needs all rows filled',
    safe: 'do it when no old pod reads the column; then suppress this with the reason',
    check: eachCommand(['AT_DropNotNull'], ({ name }, table) => `${table}.${name} may be NULL from now on`),
  },
  {
    id: 'drop-default',
    why: 'the INSERTs of pods that still run may rely on it',
    safe: 'drop it when no old pod writes the table; then suppress this with the reason',
    check: eachCommand(
      ['AT_ColumnDefault'],
      ({ name, def }, table) => !def && `the default of ${table}.${name} is dropped`,
    ),
  },
  {
    id: 'rewrite-table',
    why: 'the table is written anew under a lock that stops all reads and writes',
    safe: 'leave it out, or do it in a maintenance window by hand',
    check: eachCommand(
      ['AT_SetLogged', 'AT_SetUnLogged', 'AT_SetTableSpace', 'AT_SetAccessMethod', 'AT_SetExpression'],
      ({ subtype }, table) => `${subtype.replace('AT_Set', 'SET ').toUpperCase()} rewrites ${table}`,
    ),
  },
];
