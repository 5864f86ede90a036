import { plural } from '../app/plural.js';
import { printable, type Style } from '../output/terminal.js';
import { comment } from '../schema/ddl/names.js';
import { type VerifyResult, verify } from '../schema/verify.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';
import { acceptedText, differenceText } from './difference-text.js';

export interface VerifyOptions {
  /** Kasm's Export Schema file, instead of the snapshot. */
  against?: string;
  /** Extensions, schemas and other things that are not ours are drift, too. */
  strict?: boolean;
  /** Print the statements that would bring the database back. */
  fixSql?: boolean;
}

/** Drift: compares the live catalog with the snapshot that ships with the migrations. */
export async function verifyCommand(ctx: CommandContext, options: VerifyOptions): Promise<Answer> {
  const result = await verify(ctx, await ctx.migrations(), ctx.folder, options);
  const { differences, accepted, leftOver, others } = result;
  const warnings = [
    ...leftOver.map(({ object }) => `${object} is left over: ${options.against} does not list it`),
    ...result.defaultGrants.map((grant) => `default privileges grant ${grant}; no migration does`),
  ];
  for (const warning of warnings) ctx.events.warning?.(warning);
  const sql = options.fixSql ? await fixSql(result, options.against) : undefined;
  return {
    state: result.state,
    fields: {
      current: result.plan?.current,
      differences,
      accepted: unlessEmpty(accepted),
      others: unlessEmpty(others),
      warnings,
      fixSql: sql,
      outcome: differences.length > 0 ? 'integrity' : 'ok',
    },
    verbatim: sql !== undefined,
    text: (s) =>
      sql ??
      report(result, options.against, ctx.again(`kasm-db verify${options.strict ? ' --strict' : ''} --fix-sql`), s),
  };
}

async function fixSql({ differences, expected, actual }: VerifyResult, against: string | undefined): Promise<string> {
  if (!expected) return comment(`${against} does not say enough to make statements; see kasm-db new --from-export.`);
  const { fixStatements } = await import('../schema/fix.js');
  return fixStatements(differences, expected, actual);
}

function report(
  { differences, accepted, others, actual }: VerifyResult,
  against: string | undefined,
  fixCall: string,
  s: Style,
): string {
  const known =
    accepted.length > 0
      ? `\nDifferences that were accepted when the database was adopted (${accepted.length}):\n${acceptedText(accepted, s)}`
      : '';
  const note = `${known}${
    others.length > 0
      ? `\nMade by somebody else, and not counted as drift (with --strict it is): ${printable(others.map(({ object }) => object).join(', '))}.`
      : ''
  }`;
  const what = against ?? 'the snapshot of the migrations';
  if (differences.length === 0)
    return `${s.green('No drift.')} ${plural(actual.tables.length, 'table is', 'tables are')} as ${what} says.${note}`;
  const count = `${plural(differences.length, 'difference')} from ${what}.`;
  return `${differenceText(differences, s)}\n\n${s.red('Drift:')} ${count}${note}${
    against ? '' : `\nTo see the statements that would bring it back: ${fixCall}`
  }`;
}
