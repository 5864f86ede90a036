import { writesVendorVersion } from '../migrate/files.js';
import { look } from '../migrate/look.js';
import { planFor } from '../migrate/run.js';
import { connect } from '../postgres/connect.js';
import { disconnect } from '../postgres/query.js';
import { table } from '../report/terminal.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

export interface PlanOptions {
  to?: string;
  /** Print the SQL of what is pending. */
  sql?: boolean;
}

/** What `migrate` would do, in order. */
export async function planCommand(ctx: CommandContext, options: PlanOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
  const state = await look(client, { vendor: writesVendorVersion(migrations) }).finally(() => disconnect(client));
  const planned = planFor(migrations, state, options.to);
  const sql = options.sql
    ? await Promise.all(planned.pending.map(async (m) => `-- ${m.path}\n${await m.sql()}\n`))
    : [];
  const rows = planned.pending.map((m) => [m.name, m.transaction ? 'one transaction' : 'statement by statement']);
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), state),
      ...(planned.target ? { target: planned.target } : {}),
      ...(planned.current ? { current: planned.current } : {}),
      pending: planned.pending.map((m) => m.name),
      ...(planned.unknown.length > 0 ? { unknown: planned.unknown } : {}),
      ...(planned.warnings.length > 0 ? { warnings: planned.warnings } : {}),
    },
    text: (s) => {
      if (planned.pending.length === 0)
        return `${s.green('Nothing to do.')} The database is at ${planned.current ?? 'no migration'}.`;
      if (options.sql) return sql.join('\n');
      return `${table(['MIGRATION', 'RUNS IN'], rows, s)}\n\n${rows.length} to apply. Next: kasm-db migrate`;
    },
  };
}
