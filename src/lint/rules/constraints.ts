import type { ParsedStatement } from '../../postgres/parser.js';
import type { Rule, RuleContext } from '../rule.js';
import { commandsOf, type Node, nameOf } from '../tree.js';

/** Constraints that an ALTER TABLE adds to a table that others use. */
function added(
  statement: ParsedStatement,
  { known }: RuleContext,
  ...kinds: string[]
): { table: string; constraint: Node }[] {
  return commandsOf(statement).flatMap((cmd) => {
    const table = nameOf(statement.node.relation);
    const constraint = cmd.def?.Constraint;
    return cmd.subtype === 'AT_AddConstraint' && kinds.includes(constraint?.contype) && !known.isFresh(table)
      ? [{ table, constraint }]
      : [];
  });
}

const named = ({ conname }: Node) => (conname ? ` ${conname}` : '');

export const constraintRules: Rule[] = [
  {
    id: 'check-not-valid',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'add NOT VALID, and VALIDATE CONSTRAINT in a later migration',
    check: (statement, ctx) =>
      added(statement, ctx, 'CONSTR_CHECK', 'CONSTR_NOTNULL').flatMap(({ table, constraint }) =>
        constraint.skip_validation || constraint.is_enforced === false
          ? []
          : [`${table}: constraint${named(constraint)} is checked at once`],
      ),
  },
  {
    id: 'foreign-key-not-valid',
    why: 'all rows are checked while both tables take no writes',
    safe: 'add NOT VALID, and VALIDATE CONSTRAINT in a later migration',
    check: (statement, ctx) =>
      added(statement, ctx, 'CONSTR_FOREIGN').flatMap(({ table, constraint }) =>
        constraint.skip_validation
          ? []
          : [`${table}: the foreign key to ${nameOf(constraint.pktable)} is checked at once`],
      ),
  },
  {
    id: 'validate-in-same-transaction',
    why: 'the lock of ADD CONSTRAINT is kept while VALIDATE reads all rows, so NOT VALID has saved nothing',
    safe: 'put VALIDATE CONSTRAINT into the next migration',
    check: (statement, ctx) => {
      if (!ctx.file.migration.transaction) return [];
      return commandsOf(statement).flatMap((cmd, i, all) => {
        const table = nameOf(statement.node.relation);
        if (cmd.subtype !== 'AT_ValidateConstraint' || ctx.known.isFresh(table)) return [];
        const same = (other: Node) =>
          other.subtype === 'AT_AddConstraint' && other.def?.Constraint?.conname === cmd.name;
        return ctx.soFar.hasAdded(table, cmd.name) || all.slice(0, i).some(same)
          ? [`${table}: ${cmd.name} is added and validated in one transaction`]
          : [];
      });
    },
  },
  {
    id: 'unique-without-index',
    why: 'the index is built under a lock that stops all reads and writes',
    safe: 'CREATE UNIQUE INDEX CONCURRENTLY in a no-transaction migration, then ADD CONSTRAINT … USING INDEX',
    check: (statement, ctx) =>
      added(statement, ctx, 'CONSTR_UNIQUE', 'CONSTR_PRIMARY').flatMap(({ table, constraint }) =>
        constraint.indexname ? [] : [`${table}: constraint${named(constraint)} builds its index at once`],
      ),
  },
  {
    id: 'exclusion-constraint',
    why: 'its index is built under a lock that stops all reads and writes, and there is no concurrent way',
    safe: 'add it to a new table, or in a maintenance window',
    check: (statement, ctx) =>
      added(statement, ctx, 'CONSTR_EXCLUSION').map(
        ({ table, constraint }) => `${table}: exclusion constraint${named(constraint)} builds its index`,
      ),
  },
  {
    id: 'domain-constraint',
    why: 'all tables with a column of the domain are read while their rows are locked',
    safe: 'add NOT VALID, and ALTER DOMAIN … VALIDATE CONSTRAINT in a later migration',
    check: ({ type, node }, { known }) => {
      if (type !== 'AlterDomainStmt' || node.subtype !== 'C' || node.def?.Constraint?.skip_validation) return [];
      const name = (node.typeName as Node[]).map((part) => part.String.sval).join('.');
      return known.isMade(name) ? [] : [`domain ${name}: the constraint is checked at once`];
    },
  },
  {
    id: 'disable-triggers',
    why: 'foreign keys are triggers too: rows that refer to nothing can be written, and nobody checks them later',
    safe: 'leave the triggers on, or disable a single one of your own by its name (DISABLE TRIGGER name)',
    check: (statement, { known }) => {
      const { type, node } = statement;
      if (type === 'VariableSetStmt' && node.name === 'session_replication_role')
        return ['session_replication_role is set'];
      return commandsOf(statement).flatMap((cmd) =>
        cmd.subtype === 'AT_DisableTrigAll' && !known.isFresh(nameOf(node.relation))
          ? [`${nameOf(node.relation)}: all triggers are disabled`]
          : [],
      );
    },
  },
];
