import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { escapeIdentifier } from 'pg';
import { type BootstrapResult, bootstrap } from '../bootstrap/bootstrap.js';
import { type Environment, readSecretFile } from '../config/variables.js';
import { type Style, table } from '../output/terminal.js';
import { comment } from '../schema/ddl/names.js';
import type { Answer, CommandContext } from './command.js';

export interface BootstrapCommandOptions {
  /** Where the admin login is looked up; default: the command's environment. */
  env?: Environment;
  /** Passwords, instead of those of the Secret or the environment. */
  appPassword?: string;
  gatePassword?: string;
  /** Print the SQL, with passwords hidden, and do nothing. */
  dryRun?: boolean;
  /** Role for the gates: may read the history and nothing else. */
  gateRole?: string;
  /** Folder of a mounted Secret; keys db-password and gate-password. */
  secrets?: string;
}

/** With the admin login: role, database, extension, history and grants, each only where it is missing. */
export async function bootstrapCommand(ctx: CommandContext, options: BootstrapCommandOptions): Promise<Answer> {
  const result = await runBootstrap(ctx, options);
  for (const warning of result.warnings) ctx.events.warning?.(warning);
  return bootstrapAnswer(ctx, result, options);
}

/** What `bootstrap` answers, also as the first part of `migrate --bootstrap --dry-run`. */
export function bootstrapAnswer(
  ctx: CommandContext,
  result: BootstrapResult,
  options: Pick<BootstrapCommandOptions, 'dryRun'>,
): Answer {
  const { dbname } = ctx.resolve();
  return {
    fields: { warnings: result.warnings },
    text: (s) =>
      options.dryRun ? dryRunReport(result, dbname, s) : report(result, dbname, ctx.again('kasm-db migrate'), s),
  };
}

/** The work without the report, for `migrate --bootstrap`. */
export function runBootstrap(ctx: CommandContext, options: BootstrapCommandOptions): Promise<BootstrapResult> {
  const env = options.env ?? ctx.env;
  const folder = options.secrets ?? env.KASM_DB_SECRETS_DIR;
  const path = folder ? join(folder, 'gate-password') : undefined;
  return bootstrap(ctx, {
    env,
    appPassword: options.appPassword || undefined,
    dryRun: options.dryRun ?? false,
    gateRole: options.gateRole || undefined,
    gatePassword:
      options.gatePassword || (path && existsSync(path) ? readSecretFile(path, 'gate-password') : undefined),
  });
}

function report({ steps }: BootstrapResult, database: string, next: string, s: Style): string {
  const done = steps.filter((step) => step.state === 'done').length;
  const rows = steps.map((step) => [step.what, step.state === 'done' ? 'made' : 'already there']);
  const sum = done === 0 ? 'Nothing to do.' : `Made ${done}; the other ${steps.length - done} were there.`;
  return `${table(['WHAT', 'STATE'], rows, s)}\n\n${s.green(sum)} Database ${database} is ready for ${next}.`;
}

/** A script for psql, as far as psql can know the passwords. */
function dryRunReport({ steps }: BootstrapResult, database: string, s: Style): string {
  const missing = steps.filter((step) => step.state === 'missing');
  if (missing.length === 0) return `${s.green('Nothing to do.')} Everything is there.`;
  let where = '';
  const lines = missing.flatMap((step) => {
    const heading = comment(`in database ${step.where === 'maintenance' ? 'postgres' : database}`);
    const sql = step.as
      ? [`SET ROLE ${escapeIdentifier(step.as)};`, `${step.sqlForDisplay};`, 'RESET ROLE;']
      : [`${step.sqlForDisplay};`];
    const lines = heading === where ? sql : [s.dim(heading), ...sql];
    where = heading;
    return lines;
  });
  return lines.join('\n');
}
