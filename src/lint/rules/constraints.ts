import { eachCommand, type Rule, type Told } from '../rule.js';
import { commandsOf, type Node, nameOf, stringsIn } from '../tree.js';

/** A check of each constraint of such a kind that an ALTER TABLE adds to a table that others use. */
const eachConstraint = (kinds: string[], tell: (constraint: Node, table: string) => Told) =>
  eachCommand(
    ['AT_AddConstraint'],
    ({ def: { Constraint } }, table) => kinds.includes(Constraint.contype) && tell(Constraint, table),
  );

const named = ({ conname }: Node) => (conname ? ` ${conname}` : '');

const disabledTriggers = eachCommand(['AT_DisableTrigAll'], (_, table) => `${table}: all triggers are disabled`);

export const constraintRules: Rule[] = [
  {
    id: 'check-not-valid',
    why: 'all rows are checked under a lock that stops all reads and writes',
    safe: 'add NOT VALID, and VALIDATE CONSTRAINT in a later migration',
    check: eachConstraint(['CONSTR_CHECK', 'CONSTR_NOTNULL'], (constraint, table) => {
      const isChecked = !constraint.skip_validation && constraint.is_enforced !== false;
      return isChecked && `${table}: constraint${named(constraint)} is checked at once`;
    }),
  },
  {
    id: 'foreign-key-not-valid',
    why: 'all rows are checked while both tables take no writes',
    safe: 'add NOT VALID, and VALIDATE CONSTRAINT in a later migration',
    check: eachConstraint(
      ['CONSTR_FOREIGN'],
      ({ skip_validation, pktable }, table) =>
        !skip_validation && `${table}: the foreign key to ${nameOf(pktable)} is checked at once`,
    ),
  },
  {
    id: 'validate-in-same-transaction',
    why: 'the lock of ADD CONSTRAINT is kept while VALIDATE reads all rows, so NOT VALID has saved nothing',
    safe: 'put VALIDATE CONSTRAINT into the next migration',
    check: (statement, { file, known, soFar }) =>
      file.migration.transaction &&
      commandsOf(statement).map(({ subtype, name }, i, all) => {
        const table = nameOf(statement.node.relation);
        if (subtype !== 'AT_ValidateConstraint' || known.isFresh(table)) return false;
        const isAddedHere = all
          .slice(0, i)
          .some((other) => other.subtype === 'AT_AddConstraint' && other.def.Constraint.conname === name);
        return (
          (isAddedHere || soFar.hasAdded(table, name)) && `${table}: ${name} is added and validated in one transaction`
        );
      }),
  },
  {
    id: 'unique-without-index',
    why: 'the index is built under a lock that stops all reads and writes',
    safe: 'CREATE UNIQUE INDEX CONCURRENTLY in a no-transaction migration, then ADD CONSTRAINT … USING INDEX',
    check: eachConstraint(
      ['CONSTR_UNIQUE', 'CONSTR_PRIMARY'],
      (constraint, table) =>
        !constraint.indexname && `${table}: constraint${named(constraint)} builds its index at once`,
    ),
  },
  {
    id: 'exclusion-constraint',
    why: 'its index is built under a lock that stops all reads and writes, and there is no concurrent way',
    safe: 'add it to a new table, or in a maintenance window',
    check: eachConstraint(
      ['CONSTR_EXCLUSION'],
      (constraint, table) => `${table}: exclusion constraint${named(constraint)} builds its index`,
    ),
  },
  {
    id: 'domain-constraint',
    why: 'all tables with a column of the domain are read while their rows are locked',
    safe: 'add NOT VALID, and ALTER DOMAIN … VALIDATE CONSTRAINT in a later migration',
    check: ({ type, node }, { known }) => {
      if (type !== 'AlterDomainStmt' || node.subtype !== 'C' || node.def?.Constraint?.skip_validation) return false;
      const name = stringsIn(node.typeName).join('.');
      return !known.isMade(name) && `domain ${name}: the constraint is checked at once`;
    },
  },
  {
    id: 'disable-triggers',
    why: 'foreign keys are triggers too: rows that refer to nothing can be written, and nobody checks them later',
    safe: 'leave the triggers on, or disable a single one of your own by its name (DISABLE TRIGGER name)',
    check: (statement, ctx) =>
      statement.type === 'VariableSetStmt'
        ? statement.node.name === 'session_replication_role' && 'session_replication_role is set'
        : disabledTriggers(statement, ctx),
  },
];
