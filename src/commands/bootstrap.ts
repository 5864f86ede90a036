import { escapeIdentifier } from 'pg';
import { type BootstrapResult, bootstrap } from '../bootstrap/bootstrap.js';
import type { Environment } from '../config/settings.js';
import { type Style, table } from '../report/terminal.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

export interface BootstrapCommandOptions {
  /** Where DATABASE_MASTER_USER and DATABASE_MASTER_PASSWORD are looked up. */
  env: Environment;
  /** Print the SQL, with passwords hidden, and do nothing. */
  dryRun?: boolean;
  /** Role for the gates: may read the history and nothing else. */
  gateRole?: string;
  /** Passwords from a Secret; without them POSTGRES_PASSWORD and KASM_DB_GATE_PASSWORD. */
  appPassword?: string;
  gatePassword?: string;
}

/** With the admin login: role, database, extension, history and grants, each only where it is missing. */
export async function bootstrapCommand(ctx: CommandContext, options: BootstrapCommandOptions): Promise<Answer> {
  const result = await bootstrap(ctx, options);
  for (const warning of result.warnings) ctx.events.warning?.(warning);
  const database = describeDatabase(ctx.resolve());
  return {
    fields: {
      database,
      ...(result.warnings.length > 0 ? { warnings: result.warnings } : {}),
    },
    text: (s) => (options.dryRun ? dryRunReport(result, database.name, s) : report(result, database.name, s)),
  };
}

function report({ steps }: BootstrapResult, database: string, s: Style): string {
  const done = steps.filter((step) => step.state === 'done').length;
  const rows = steps.map((step) => [step.what, step.state === 'done' ? 'made' : 'already there']);
  const sum = done === 0 ? 'Nothing to do.' : `Made ${done} of ${steps.length}.`;
  return `${table(['WHAT', 'STATE'], rows, s)}\n\n${s.green(sum)} Database ${database} is ready for kasm-db migrate.`;
}

/** A script for psql, as far as psql can know the passwords. */
function dryRunReport({ steps }: BootstrapResult, database: string, s: Style): string {
  const missing = steps.filter((step) => step.state === 'missing');
  if (missing.length === 0) return `${s.green('Nothing to do.')} Everything is there.`;
  let where = '';
  const lines = missing.flatMap((step) => {
    const heading = step.where === 'maintenance' ? '-- in database postgres' : `-- in database ${database}`;
    const sql = step.as
      ? [`SET ROLE ${escapeIdentifier(step.as)};`, `${step.sqlForDisplay};`, 'RESET ROLE;']
      : [`${step.sqlForDisplay};`];
    const lines = heading === where ? sql : [s.dim(heading), ...sql];
    where = heading;
    return lines;
  });
  return lines.join('\n');
}
