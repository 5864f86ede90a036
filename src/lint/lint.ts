import { breather } from '../app/time.js';
import { type Down, readDown } from '../migrations/down.js';
import type { Migration } from '../migrations/files.js';
import { refuseUnreadable } from '../migrations/refused.js';
import { type ParsedStatement, parseFile } from '../postgres/parser.js';
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
const WITHOUT_REASON: Rule = {
  id: 'suppression-without-reason',
  why: 'whoever reads the file later cannot know whether it still holds',
  safe: 'write: -- kasm-db: lint-ignore RULE why it is safe here',
};
const UNUSED: Rule = {
  id: 'suppression-unused',
  why: 'it hides what may come in its place later',
  safe: 'take it out',
};

/**
 * Looks for what is unsafe in migrations that are not applied yet.
 * @param files all of a folder, in the order of their names: those before a pending one tell what is there already
 * @param isPending which of them are looked at
 * @throws KasmDbError usage when a file, or the down migration of one, cannot be run or parsed, with its line; the signal's reason
 */
export async function lint(
  files: readonly Migration[],
  isPending: (file: Migration) => boolean,
  signal?: AbortSignal,
): Promise<Finding[]> {
  const breathe = breather(signal);
  const known = new Known();
  // The same for a database that has all that comes before a file: a suppression is for that one too.
  const upgraded = new Known();
  const findings: Finding[] = [];
  for (const migration of files) {
    await breathe();
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
  const lineOf = lineCounter(text);
  return statements.flatMap((statement) => {
    const line = lineOf(statement.start);
    return RULES.filter(({ ofDown }) => ofDown).flatMap((rule) =>
      messages(rule, statement, ctx).map((message) => finding(rule, down.path, line, message)),
    );
  });
}

function lintFile(file: LintFile, text: string, known: Known, upgraded: Known): Finding[] {
  const { path } = file.migration;
  const suppressions = suppressionsIn(text);
  const used = new Set<Suppression>();
  const findings: Finding[] = [];
  const add = (rule: Rule, line: number, message: string, applicable: readonly Suppression[]) => {
    const suppression = applicable.find((entry) => entry.rule === rule.id);
    if (suppression) used.add(suppression);
    if (!suppression?.reason) findings.push(finding(rule, path, line, message));
  };
  const lineOf = lineCounter(text);
  const ctx: RuleContext = { known, file, soFar: new SoFar() };
  const upgrade: RuleContext = { known: upgraded, file, soFar: new SoFar() };
  let next = 0;
  for (const statement of file.statements) {
    const line = lineOf(statement.start);
    const here: Suppression[] = [];
    for (let entry = suppressions[next]; entry && entry.line < line; entry = suppressions[++next]) here.push(entry);
    for (const rule of RULES) for (const message of messages(rule, statement, ctx)) add(rule, line, message, here);
    for (const suppression of here) {
      const rule = RULES.find(({ id }) => id === suppression.rule);
      if (rule && messages(rule, statement, upgrade).length > 0) used.add(suppression);
    }
    for (const { soFar, known } of suppressions.length > 0 ? [ctx, upgrade] : [ctx]) {
      soFar.take(statement, known);
      known.take(statement, true);
    }
  }
  for (const rule of RULES) {
    const message = rule.checkFile?.(file);
    if (message) add(rule, 1, message, suppressions);
  }
  for (const suppression of suppressions) {
    const { line, rule, reason } = suppression;
    if (rule === '' || reason === '')
      findings.push(finding(WITHOUT_REASON, path, line, `lint-ignore ${rule || 'names no rule and'} gives no reason`));
    else if (!used.has(suppression)) findings.push(finding(UNUSED, path, line, `nothing here is against "${rule}"`));
  }
  return findings.sort((a, b) => a.line - b.line);
}

function messages(rule: Rule, statement: ParsedStatement, ctx: RuleContext): string[] {
  return [rule.check?.(statement, ctx)].flat().filter((told) => typeof told === 'string');
}

function finding({ id, why, safe }: Rule, file: string, line: number, message: string): Finding {
  return { rule: id, file, line, message, why, safe };
}
