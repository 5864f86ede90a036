import { EXIT_CODES } from '../app/errors.js';
import type { Style } from '../output/terminal.js';
import { printable } from '../output/terminal.js';
import type { Difference } from '../schema/diff.js';
import { type VerifyResult, verify } from '../schema/verify.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

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
    ...leftOver.map(({ object }) => `left over, ${options.against} does not list it: ${object}`),
    ...result.defaultGrants.map((grant) => `by default privileges, not by a migration: ${grant}`),
  ];
  for (const warning of warnings) ctx.events.warning?.(warning);
  const sql = options.fixSql ? await fixSql(result, options.against) : undefined;
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), result.state),
      ...(result.plan?.current ? { current: result.plan.current } : {}),
      differences,
      ...(accepted.length > 0 ? { accepted } : {}),
      ...(others.length > 0 ? { others } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
      ...(sql === undefined ? {} : { fixSql: sql }),
      ...(differences.length > 0 ? { outcome: 'integrity' as const, exitCode: EXIT_CODES.integrity } : {}),
    },
    text: (s) =>
      sql ??
      report(result, options.against, ctx.again(`kasm-db verify${options.strict ? ' --strict' : ''} --fix-sql`), s),
  };
}

async function fixSql({ differences, expected, actual }: VerifyResult, against: string | undefined): Promise<string> {
  if (!expected) return `-- ${against} does not say enough to make statements; see kasm-db new --from-export.`;
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
    accepted.length > 0 ? `\n${accepted.length} differences were accepted when the database was adopted.` : '';
  const note = `${known}${
    others.length > 0
      ? `\nNot ours, and no drift (--strict: it is): ${printable(others.map(({ object }) => object).join(', '))}.`
      : ''
  }`;
  const what = against ?? 'the snapshot of the migrations';
  if (differences.length === 0)
    return `${s.green('No drift.')} ${actual.tables.length} tables are as ${what} has them.${note}`;
  const count = `${differences.length} difference${differences.length === 1 ? '' : 's'} from ${what}.`;
  return `${differenceText(differences, s)}\n\n${s.red('Drift:')} ${count}${note}${
    against ? '' : `\nTo see the statements that would bring it back: ${fixCall}`
  }`;
}

/** By table: what is missing, what is extra, what is changed. */
export function differenceText(differences: readonly Difference[], s: Style): string {
  const lines: string[] = [];
  let group = '';
  for (const difference of differences) {
    if (difference.group !== group) {
      group = difference.group;
      lines.push(s.bold(printable(group)));
    }
    lines.push(`  ${line(difference, s)}`);
  }
  return lines.join('\n');
}

function line({ change, object, group, property, expected, actual }: Difference, s: Style): string {
  const name = printable(object.replace(`${group}.`, ''));
  if (change === 'missing') return `${s.red('missing')}  ${name}`;
  if (change === 'extra') return `${s.yellow('extra')}    ${name}`;
  const value = (text: string | undefined) => (text === undefined ? 'none' : printable(text.replace(/\s+/g, ' ')));
  return `${s.yellow('changed')}  ${name}: ${property} is ${value(actual)}, not ${value(expected)}`;
}
