import { readState } from '../history/read-state.js';
import { locksOfFiles, type StatementLock } from '../lint/plan-locks.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { planFor } from '../migrator/plan-for.js';
import { sessionOptions } from '../migrator/with-lock.js';
import { printable, type Style, table } from '../output/terminal.js';
import { withSession } from '../postgres/session.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

export interface PlanOptions {
  to?: string;
  /** Print the SQL of what is pending. */
  sql?: boolean;
}

/** What `migrate` would do, in order; per statement the table lock it takes, and whether it rewrites the table. */
export async function planCommand(ctx: CommandContext, options: PlanOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const state = await withSession(ctx.resolve, { ...sessionOptions(ctx), doing: 'planning' }, (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  const planned = planFor(migrations, state, options);
  const { pending } = planned;
  const sql = options.sql
    ? await Promise.all(pending.map(async (m) => ({ migration: m.name, file: m.path, sql: await m.sql() })))
    : [];
  const applied = migrations.filter((migration) => planned.applied.includes(migration.name));
  const { locks, warnings: unseen } =
    pending.length > 0 ? await locksOfFiles(applied, pending) : { locks: [], warnings: [] };
  const warnings = [...planned.warnings, ...unseen];
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), state),
      ...(planned.target ? { target: planned.target } : {}),
      ...(planned.current ? { current: planned.current } : {}),
      pending: pending.map((m) => m.name),
      ...(planned.unknown.length > 0 ? { unknown: planned.unknown } : {}),
      ...(pending.length > 0 ? { locks } : {}),
      ...(options.sql ? { sql } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) => {
      if (pending.length === 0)
        return `${s.green('Nothing to do.')} The database is at ${planned.current ?? 'no migration'}.`;
      if (options.sql) return sql.map((m) => `-- ${m.file}\n${m.sql}\n`).join('\n');
      return report(
        pending,
        locks,
        warnings,
        ctx.again(`kasm-db migrate${options.to ? ` --to ${options.to}` : ''}`),
        s,
      );
    },
  };
}

function report(
  pending: readonly Migration[],
  locks: readonly StatementLock[],
  warnings: readonly string[],
  next: string,
  s: Style,
): string {
  const used = locks.filter(({ fresh }) => !fresh);
  const rows = pending.map((m) => {
    const own = used.filter((lock) => lock.migration === m.name);
    const tables = new Set(own.map((lock) => lock.table)).size;
    return [
      m.name,
      m.transaction ? 'one transaction' : 'statement by statement',
      tables === 0
        ? 'none that others use'
        : `${tables}${own.some(({ rewrite }) => rewrite !== 'no') ? ', rewrites' : ''}`,
    ];
  });
  const detail = used.map(({ migration, line, table: name, mode, rewrite, statement }) => [
    `${migration}:${line}`,
    name,
    mode,
    rewrite === 'maybe' ? 'may be' : rewrite,
    statement,
  ]);
  return [
    table(['MIGRATION', 'RUNS IN', 'LOCKS TABLES'], rows, s),
    ...(detail.length > 0 ? [table(['STATEMENT', 'TABLE', 'LOCK', 'REWRITTEN', ''], detail, s)] : []),
    ...warnings.map((warning) => `${s.yellow('warning:')} ${printable(warning)}`),
    `${rows.length} to apply. Next: ${next}`,
  ].join('\n\n');
}
