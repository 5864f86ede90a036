import { type Down, readDown } from '../migrations/down.js';
import type { Migration } from '../migrations/files.js';
import { refuseUnreadable } from '../migrations/refused.js';
import { parseFile } from '../postgres/parser.js';
import { lineCounter } from '../postgres/statements.js';
import { Known } from './known.js';
import type { Finding, LintFile, Rule, RuleContext } from './rule.js';
import { columnRules } from './rules/columns.js';
import { constraintRules } from './rules/constraints.js';
import { fileRules } from './rules/files.js';
import { indexRules } from './rules/indexes.js';
import { removalRules } from './rules/removal.js';
import { transactionRules } from './rules/transaction.js';
import { SoFar } from './so-far.js';
import { type Suppression, suppressionsIn } from './suppressions.js';

export const RULES: readonly Rule[] = [
  ...columnRules,
  ...constraintRules,
  ...indexRules,
  ...removalRules,
  ...transactionRules,
  ...fileRules,
];

/** About the suppressions themselves. */
const SUPPRESSION_RULES: Record<'suppression-without-reason' | 'suppression-unused', Pick<Rule, 'why' | 'safe'>> = {
  'suppression-without-reason': {
    why: 'whoever reads the file later cannot know whether it still holds',
    safe: 'write: -- kasm-db: lint-ignore RULE why it is safe here',
  },
  'suppression-unused': {
    why: 'it hides what may come in its place later',
    safe: 'take it out',
  },
};

/**
 * Looks for what is unsafe in migrations that are not applied yet.
 * @param files all of a folder, in the order of their names: those before a pending one tell what is there already
 * @param isPending which of them are looked at
 * @throws KasmDbError usage when a file, or the down migration of one, cannot be run or parsed, with its line
 */
export async function lint(files: readonly Migration[], isPending: (file: Migration) => boolean): Promise<Finding[]> {
  const known = new Known();
  // The same for a database that has all that comes before a file: a suppression is for that one too.
  const upgraded = new Known();
  const findings: Finding[] = [];
  for (const migration of files) {
    const text = await migration.sql();
    if (!isPending(migration)) {
      // A server has run it, whatever our parser says.
      for (const statement of await parseFile(text, migration.path).catch(() => [])) {
        known.take(statement, false);
        upgraded.take(statement, false);
      }
      continue;
    }
    refuseUnreadable(migration, text);
    const statements = await parseFile(text, migration.path);
    findings.push(...lintFile({ migration, statements }, text, known, upgraded));
    for (const statement of statements) upgraded.take(statement, false);
    const down = await readDown(migration);
    if (down) findings.push(...lintDown(down, await down.down.sql()));
  }
  return findings;
}

/** Of a down migration only what PostgreSQL would refuse on the day on which it is needed: what it drops is its purpose. */
function lintDown({ down, statements }: Down, text: string): Finding[] {
  const ctx: RuleContext = { known: new Known(), file: { migration: down, statements }, soFar: new SoFar() };
  const rules = RULES.filter((rule) => rule.ofDown);
  const lineOf = lineCounter(text);
  return statements.flatMap((statement) => {
    const line = lineOf(statement.start);
    return rules.flatMap((rule) =>
      (rule.check?.(statement, ctx) ?? []).map((message) => finding(rule, down.path, line, message)),
    );
  });
}

function lintFile(file: LintFile, text: string, known: Known, upgraded: Known): Finding[] {
  const { migration, statements } = file;
  const suppressions = suppressionsIn(text);
  const used = new Set<Suppression>();
  const findings: Finding[] = [];
  const add = (rule: Rule, line: number, messages: readonly string[], applicable: readonly Suppression[]) => {
    for (const message of messages) {
      const suppression = applicable.find((entry) => entry.rule === rule.id);
      if (suppression) used.add(suppression);
      if (!suppression?.reason) findings.push(finding(rule, migration.path, line, message));
    }
  };
  let after = 0;
  const lineOf = lineCounter(text);
  const ctx: RuleContext = { known, file, soFar: new SoFar() };
  const upgrade: RuleContext = { known: upgraded, file, soFar: new SoFar() };
  let next = 0;
  for (const statement of statements) {
    const line = lineOf(statement.start);
    const here: Suppression[] = [];
    for (let entry = suppressions[next]; entry && entry.line < line; entry = suppressions[++next])
      if (entry.line > after) here.push(entry);
    for (const rule of RULES) if (rule.check) add(rule, line, rule.check(statement, ctx), here);
    for (const suppression of here) {
      const rule = RULES.find(({ id }) => id === suppression.rule);
      if (rule?.check?.(statement, upgrade).length) used.add(suppression);
    }
    for (const { soFar, known } of suppressions.length > 0 ? [ctx, upgrade] : [ctx]) {
      soFar.take(statement, known);
      known.take(statement, true);
    }
    after = line;
  }
  for (const rule of RULES) if (rule.checkFile) add(rule, 1, rule.checkFile(file), suppressions);
  for (const suppression of suppressions) {
    const { line, rule, reason } = suppression;
    const report = (id: keyof typeof SUPPRESSION_RULES, message: string) =>
      findings.push(finding({ id, ...SUPPRESSION_RULES[id] }, migration.path, line, message));
    if (rule === '' || reason === '')
      report('suppression-without-reason', `lint-ignore ${rule || 'names no rule and'} gives no reason`);
    else if (!used.has(suppression)) report('suppression-unused', `nothing here is against "${rule}"`);
  }
  return findings.sort((a, b) => a.line - b.line);
}

function finding(
  { id, why, safe }: Pick<Rule, 'id' | 'why' | 'safe'>,
  file: string,
  line: number,
  message: string,
): Finding {
  return { rule: id, file, line, message, why, safe };
}
