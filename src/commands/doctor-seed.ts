import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { checkCredentials } from '../doctor/credentials.js';
import type { Report } from '../doctor/report.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import type { Plan } from '../migrator/plan.js';
import type { Session } from '../postgres/session.js';
import { missingSettingsText } from '../seed/notes.js';
import type { SeedResult } from '../seed/seed.js';
import type { CommandContext } from './command.js';
import { givenCredentials, missingKeys, runSeed, type SeedCommandOptions } from './seed.js';

type Options = Pick<SeedCommandOptions, 'secrets' | 'seeds'>;

/** What the database has told. */
export interface Found {
  state?: MigrationState;
  /** undefined: migrate would stop before. */
  planned?: Plan<Migration> | undefined;
  /** Columns in which values look encrypted by Kasm. */
  encrypted?: string[];
}

/** Has the database the credentials that are given? */
export async function compareWithSecret(
  report: Report,
  session: Session,
  ctx: CommandContext,
  options: Options,
): Promise<void> {
  let given: ReturnType<typeof givenCredentials>;
  try {
    given = givenCredentials(options, ctx.env);
  } catch (error) {
    // A folder that cannot be read is told with the seed.
    if (error instanceof KasmDbError) return;
    throw error;
  }
  await checkCredentials(report, session, given.credentials);
}

/** Would the seed work, and what would it write? */
export async function checkSeed(
  report: Report,
  ctx: CommandContext,
  options: Options,
  { state, planned }: Found,
): Promise<void> {
  try {
    const { keys } = givenCredentials(options, ctx.env);
    report.ok('secrets', keys.length > 0 ? `found ${keys.join(', ')}` : 'no credentials are given');
    const known = state && planned && { state, planned };
    if (known?.state.standby) return;
    if (known?.planned.pending.length === 0) {
      const result = await runSeed(ctx, { ...options, dryRun: true });
      report.ok('seed', dryRunText(result));
      for (const warning of result.warnings) report.warning('seed', warning);
    } else if (known?.state.run?.seedDigest) report.ok('seed', 'the database was seeded before');
    else checkKeys(report, await missingKeys(ctx, options));
  } catch (error) {
    report.fail('seed', error);
  }
}

function dryRunText({ skipped, counts, settings }: SeedResult): string {
  if (skipped) return 'seeding is left to the newer build';
  const written = counts.inserted + counts.updated;
  if (written > 0) return `${plural(written, 'row')} would be written`;
  const few = settings > 0 ? missingSettingsText(settings) : undefined;
  return `everything is seeded${few ? `; ${few}` : ''}`;
}

function checkKeys(report: Report, missing: readonly string[]): void {
  if (missing.length === 0) report.ok('seed', 'all credentials that the seed needs are given');
  else
    report.failed(
      'seed',
      'seed',
      `the seed needs credentials that are not given: ${missing.join(', ')}`,
      'add these keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); to leave the seed out: kasm-db doctor --no-seed',
    );
}
