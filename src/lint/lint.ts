import { KasmDbError } from '../app/errors.js';
import type { Migration } from '../migrations/files.js';
import { type ParsedStatement, parseScript } from '../postgres/parser.js';
import { lineAt } from '../postgres/statements.js';
import { Known } from './known.js';
import type { Finding, LintFile, Rule, RuleContext } from './rule.js';
import { columnRules } from './rules/columns.js';
import { constraintRules } from './rules/constraints.js';
import { fileRules } from './rules/files.js';
import { indexRules } from './rules/indexes.js';
import { removalRules } from './rules/removal.js';
import { transactionRules } from './rules/transaction.js';
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
 * @throws KasmDbError usage when a file cannot be parsed, with its line
 */
export async function lint(files: readonly Migration[], isPending: (file: Migration) => boolean): Promise<Finding[]> {
  const known = new Known();
  const findings: Finding[] = [];
  for (const migration of files) {
    const text = await migration.sql();
    const file: LintFile = { migration, statements: await parsed(text, migration.path) };
    if (isPending(migration)) findings.push(...lintFile(file, text, known));
    else for (const statement of file.statements) known.take(statement, false);
  }
  return findings;
}

async function parsed(text: string, path: string): Promise<ParsedStatement[]> {
  try {
    return await parseScript(text, path);
  } catch (error) {
    if (!(error instanceof KasmDbError)) throw error;
    throw new KasmDbError('usage', error.message, {
      ...error.details,
      hint: 'correct the SQL; it cannot be looked at as it is',
    });
  }
}

function lintFile(file: LintFile, text: string, known: Known): Finding[] {
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
  for (const [i, statement] of statements.entries()) {
    const line = lineAt(text, statement.start);
    const here = suppressions.filter((entry) => entry.line > after && entry.line < line);
    const ctx: RuleContext = { known, file, before: statements.slice(0, i) };
    for (const rule of RULES) if (rule.check) add(rule, line, rule.check(statement, ctx), here);
    known.take(statement, true);
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
