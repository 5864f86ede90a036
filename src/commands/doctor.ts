import { checkAdmin } from '../doctor/admin.js';
import { checkDatabase } from '../doctor/database.js';
import { checkEncryption } from '../doctor/encryption.js';
import { checkExtensions, checkLockOnPrimary } from '../doctor/host.js';
import { checkMigrations } from '../doctor/migrate.js';
import { checkRedis } from '../doctor/redis.js';
import { conclusion, Report, reportText } from '../doctor/report.js';
import { checkLogin, checkNames, checkSettings } from '../doctor/settings.js';
import { readState } from '../history/read-state.js';
import { printable } from '../output/terminal.js';
import { Session } from '../postgres/session.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';
import { checkSeed, compareWithSecret, type Found } from './doctor-seed.js';
import type { SeedCommandOptions } from './seed.js';

export interface DoctorOptions extends Pick<SeedCommandOptions, 'secrets' | 'seeds'> {
  /** false: what only `migrate --seed` needs is not looked at. */
  seed?: boolean;
}

/** Preflight of everything that `migrate --seed` needs; a line each, with the fix. */
export async function doctorCommand(ctx: CommandContext, options: DoctorOptions): Promise<Answer> {
  const { seed = true } = options;
  const report = new Report();
  const settings = ctx.resolve();
  checkSettings(report, settings, ctx.env);
  await checkNames(report, settings);
  const session = await report.attempt('login', () => Session.open({ ...ctx, events: {} }, { once: true }));
  const found: Found = {};
  if (session) {
    checkLogin(report, session);
    await report.attempt('history', () => checkSession(report, session, ctx, options, found));
    await session.end();
  }
  await checkRedis(report, ctx, settings.dbname);
  if (seed) await checkSeed(report, ctx, options, found);
  await report.attempt('admin', () => checkAdmin(report, ctx, ctx.env));
  // What was looked at after it says nothing.
  ctx.signal.throwIfAborted();
  const lines = report.lines.map((line) => (line.fix === undefined ? line : { ...line, fix: ctx.again(line.fix) }));
  return {
    state: found.state,
    fields: {
      encrypted: unlessEmpty(found.encrypted ?? []),
      checks: lines,
      outcome: lines.find((line) => line.state === 'failed')?.code,
    },
    text: (s) => `${reportText(lines, s)}\n\n${printable(conclusion(lines, { seed }))}`,
  };
}

/** What shows itself only with a connection. @param found is filled as far as it comes */
async function checkSession(
  report: Report,
  session: Session,
  ctx: CommandContext,
  options: DoctorOptions,
  found: Found,
): Promise<void> {
  const state = await readState(session, { vendor: true });
  found.state = state;
  const migrations = await ctx.migrations();
  await session.reading(() => checkDatabase(report, session, state, migrations));
  if (state.pooled && !state.standby) await checkLockOnPrimary(report, session);
  if (!state.standby) await checkExtensions(report, session, migrations);
  found.planned = await checkMigrations(report, migrations, state);
  if (options.seed ?? true) await compareWithSecret(report, session, ctx, options);
  if (state.history?.length) found.encrypted = await checkEncryption(report, session);
}
