import { EXIT_CODES, type FailureOutcome, KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { checkAdmin } from '../doctor/admin.js';
import { checkDatabase } from '../doctor/database.js';
import { checkEncryption } from '../doctor/encryption.js';
import { checkExtensions, checkLockOnPrimary } from '../doctor/host.js';
import { logIn } from '../doctor/login.js';
import { checkMigrations } from '../doctor/migrate.js';
import { checkRedis } from '../doctor/redis.js';
import { conclusion, Report } from '../doctor/report.js';
import { checkNames, checkSettings } from '../doctor/settings.js';
import { readState } from '../history/read-state.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import type { Plan } from '../migrator/plan.js';
import type { CheckLine } from '../output/result.js';
import { printable, type Style } from '../output/terminal.js';
import { wrap } from '../output/wrap.js';
import type { Session } from '../postgres/session.js';
import type { Answer, CommandContext } from './command.js';
import { describeDatabase } from './database-info.js';
import type { SeedCommandOptions } from './seed.js';

export interface DoctorOptions extends Pick<SeedCommandOptions, 'secrets' | 'seeds'> {
  /** false: what only `migrate --seed` needs is not looked at. */
  seed?: boolean;
}

/** Preflight of everything that `migrate --seed` needs; a line each, with the fix. */
export async function doctorCommand(ctx: CommandContext, options: DoctorOptions): Promise<Answer> {
  const seed = options.seed ?? true;
  const report = new Report();
  const settings = ctx.resolve();
  checkSettings(report, settings, ctx.env);
  await checkNames(report, settings);
  const session = await logIn(report, ctx);
  let state: MigrationState | undefined;
  let planned: Plan<Migration> | undefined;
  let encrypted: string[] = [];
  if (session) {
    try {
      state = await readState(session, { vendor: true });
      const found = state;
      await session.reading(() => checkDatabase(report, session, found));
      if (state.pooled && !state.standby) await checkLockOnPrimary(report, session);
      if (!state.standby) await checkExtensions(report, session, await ctx.migrations());
      planned = await checkMigrations(report, await ctx.migrations(), found);
      if (seed) await compareWithSecret(report, session, ctx, options);
      if (state.history?.length) encrypted = await checkEncryption(report, session);
    } catch (error) {
      report.fail('history', error);
    } finally {
      await session.end();
    }
  }
  await checkRedis(report, ctx.env, settings.dbname);
  if (seed) await checkSeed(report, ctx, options, state && planned && { state, planned });
  await checkAdmin(report, ctx, ctx.env);
  const lines = report.lines.map((line) => (line.fix === undefined ? line : { ...line, fix: ctx.again(line.fix) }));
  const failed = lines.find((line) => line.state === 'failed');
  return {
    fields: {
      database: describeDatabase(settings, state),
      ...(encrypted.length > 0 ? { encrypted } : {}),
      checks: lines,
      ...(failed
        ? { outcome: failed.code as FailureOutcome, exitCode: EXIT_CODES[failed.code as FailureOutcome] }
        : {}),
    },
    text: (s) => `${render(lines, s)}\n\n${printable(conclusion(lines, { seed }))}`,
  };
}

async function compareWithSecret(report: Report, session: Session, ctx: CommandContext, options: DoctorOptions) {
  const [{ givenCredentials }, { checkCredentials }] = await Promise.all([
    import('./seed.js'),
    import('../doctor/credentials.js'),
  ]);
  const folder = options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR;
  // A folder that cannot be read is told with the seed.
  const given = attempt(() => givenCredentials(folder, ctx.env));
  if (given) await checkCredentials(report, session, given.credentials);
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof KasmDbError) return undefined;
    throw error;
  }
}

/** @param found undefined: migrate would stop before */
async function checkSeed(
  report: Report,
  ctx: CommandContext,
  options: DoctorOptions,
  found: { state: MigrationState; planned: Plan<Migration> } | undefined,
): Promise<void> {
  const [{ givenCredentials, missingKeys, runSeed }, { missingSettingsText }] = await Promise.all([
    import('./seed.js'),
    import('../seed/notes.js'),
  ]);
  try {
    const { keys } = givenCredentials(options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR, ctx.env);
    report.ok('secrets', keys.length > 0 ? `found ${keys.join(', ')}` : 'no credentials are given');
    if (found?.state.standby) return;
    if (found && found.planned.pending.length === 0) {
      const { skipped, counts, settings, warnings } = await runSeed(ctx, { ...options, dryRun: true });
      const written = counts.inserted + counts.updated;
      const few = settings > 0 ? missingSettingsText(settings) : undefined;
      report.ok(
        'seed',
        skipped
          ? 'seeding is left to the newer build'
          : written === 0
            ? `everything is seeded${few ? `; ${few}` : ''}`
            : `${plural(written, 'row')} would be written`,
      );
      for (const warning of warnings) report.warning('seed', warning);
    } else if (found?.state.run?.seedDigest) report.ok('seed', 'the database was seeded before');
    else {
      const missing = await missingKeys(ctx, options);
      if (missing.length === 0) report.ok('seed', 'all credentials that the seed needs are given');
      else
        report.failed(
          'seed',
          'seed',
          `the seed needs credentials that are not given: ${missing.join(', ')}`,
          'add these keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); to leave the seed out: kasm-db doctor --no-seed',
        );
    }
  } catch (error) {
    report.fail('seed', error);
  }
}

/** Where a line's text begins, behind its mark and name. */
const TEXT_COLUMN = 19;

function render(lines: readonly CheckLine[], s: Style): string {
  const marks = { ok: s.green('ok     '), warning: s.yellow('warning'), failed: s.red('failed ') };
  return lines
    .flatMap(({ name, state, text, fix }) => [
      `${marks[state]} ${name.padEnd(10)} ${printable(text)}`,
      ...(fix && state !== 'ok' ? [`${' '.repeat(TEXT_COLUMN)}${s.bold('fix:')} ${printable(fix)}`] : []),
    ])
    .map((line) => wrap(line, s.width, TEXT_COLUMN))
    .join('\n');
}
