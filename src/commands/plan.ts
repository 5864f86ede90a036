import { plural } from '../app/plural.js';
import { formatMs } from '../app/when.js';
import { readState } from '../history/read-state.js';
import { locksOfFiles, type StatementLock } from '../lint/plan-locks.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { planFor } from '../migrator/plan-for.js';
import { printable, type Style, table } from '../output/terminal.js';
import { withSession } from '../postgres/session.js';
import type { Rehearsal } from '../rehearsal/rehearse.js';
import { comment } from '../schema/ddl/names.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';
import { differenceText } from './difference-text.js';

export interface PlanOptions {
  to?: string;
  /** Apply it to a copy of the schema, in a temporary database. */
  rehearse?: boolean;
  /** Print the SQL of what is pending. */
  sql?: boolean;
}

/** What `migrate` would do, in order; per statement the table lock it takes, and whether it rewrites the table. */
export async function planCommand(ctx: CommandContext, options: PlanOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const state = await withSession(ctx, 'planning', (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  const planned = planFor(migrations, state, options);
  const { pending } = planned;
  const rehearsed = options.rehearse
    ? await (await import('../rehearsal/rehearse.js')).rehearse(ctx, migrations, {
        to: options.to,
        folder: ctx.folder,
        aside: ctx.aside,
      })
    : undefined;
  const sql = options.sql
    ? await Promise.all(pending.map(async (m) => ({ migration: m.name, file: m.path, sql: await m.sql() })))
    : [];
  const applied = migrations.filter((migration) => planned.applied.includes(migration.name));
  const { locks, warnings: unseen } =
    pending.length > 0 ? await locksOfFiles(applied, pending, ctx.signal) : { locks: [], warnings: [] };
  const warnings = [...planned.warnings, ...unseen, ...(rehearsed?.warnings ?? [])];
  return {
    state,
    fields: {
      target: planned.target,
      current: planned.current,
      pending: pending.map((m) => m.name),
      unknown: unlessEmpty(planned.unknown),
      locks: pending.length > 0 ? locks : undefined,
      sql: options.sql ? sql : undefined,
      ...(rehearsed && pending.length > 0 ? rehearsalFields(rehearsed) : {}),
      warnings,
    },
    verbatim: options.sql === true,
    text: (s) => {
      if (pending.length === 0)
        return `${s.green('Nothing to do.')} The database is at ${planned.current ?? 'no migration'}.`;
      if (options.sql) return sql.map((m) => `${comment(m.file)}\n${m.sql}\n`).join('\n');
      const next = ctx.again(
        `kasm-db migrate${options.to ? ` --to ${options.to}` : ''}`,
        // There it was only rehearsed.
        ctx.aside ? '--embedded' : undefined,
      );
      const planText = report(pending, locks, warnings, next, s);
      return rehearsed ? `${rehearsalReport(rehearsed, s)}\n\n${planText}` : planText;
    },
  };
}

/** Drift between the result and the snapshot ends as `verify` does. */
function rehearsalFields({ applied, compared, differences }: Rehearsal): Answer['fields'] {
  return {
    rehearsal: { applied, compared },
    differences: compared ? differences : undefined,
    outcome: differences.length > 0 ? 'integrity' : 'ok',
  };
}

function rehearsalReport({ applied, compared, differences }: Rehearsal, s: Style): string {
  const rows = applied.map(({ name, ms, locks = [] }) => [
    name,
    formatMs(ms),
    locks.map(({ relation, mode }) => `${relation} ${mode}`).join(', '),
  ]);
  const result = !compared
    ? s.yellow('Rehearsed; the result was not compared with a snapshot.')
    : differences.length === 0
      ? s.green('Rehearsed: the result matches the snapshot.')
      : `${differenceText(differences, s)}\n\n${s.red('Rehearsed:')} ${plural(differences.length, 'difference')} from the snapshot.`;
  return `${table(['REHEARSED, WITHOUT ROWS', 'TIME', 'LOCKED'], rows, s)}\n\n${result}`;
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
    `${plural(rows.length, 'migration')} to apply. Next: ${next}`,
  ].join('\n\n');
}
