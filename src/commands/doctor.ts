import { EXIT_CODES, type FailureOutcome, KasmDbError, messageOf } from '../app/errors.js';
import { describeHolder } from '../app/lock-holder.js';
import { formatMs } from '../config/duration.js';
import { isSocket } from '../config/hosts.js';
import { unknownNames } from '../config/near-names.js';
import { PARAMETERS } from '../config/parameters.js';
import { wantsRedis } from '../config/redis.js';
import type { ConnectionSettings } from '../config/settings.js';
import { readVariable } from '../config/variables.js';
import { checkExtensions, checkLockOnPrimary } from '../doctor/host.js';
import { checkMigrations } from '../doctor/migrate.js';
import { conclusion, Report } from '../doctor/report.js';
import { readState } from '../history/read-state.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { ownershipWarning } from '../migrator/ownership.js';
import type { Plan } from '../migrator/plan.js';
import { readOnlyGuard, readOnlyLogin } from '../migrator/read-only.js';
import { MIN_SERVER_VERSION } from '../migrator/with-lock.js';
import type { CheckLine } from '../output/result.js';
import type { Style } from '../output/terminal.js';
import { addressesOf } from '../postgres/addresses.js';
import { lockHolders } from '../postgres/lock.js';
import { otherCreatorsSql, revokeSql } from '../postgres/public-schema.js';
import { Session } from '../postgres/session.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';
import { kasmServerNote } from './kasm-server.js';
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
  for (const line of describeSettings(settings)) report.ok('settings', line);
  for (const text of [...settings.notes, ...settings.contradictions]) report.warning('settings', text);
  for (const { name, meant } of unknownNames(ctx.env))
    report.warning(
      'settings',
      `${name} is not a setting`,
      meant ? `did you mean ${meant}?` : 'docs/SETTINGS.md lists them',
    );
  await checkNames(report, settings);
  const session = await login(ctx, report);
  let state: MigrationState | undefined;
  let planned: Plan<Migration> | undefined;
  if (session) {
    try {
      state = await readState(session, { vendor: true });
      const found = state;
      await session.reading(() => checkDatabase(report, session, found));
      if (state.pooled && !state.standby) await checkLockOnPrimary(report, session);
      if (!state.standby) await checkExtensions(report, session, await ctx.migrations());
      planned = await checkMigrations(report, await ctx.migrations(), found);
      if (seed) await compareWithSecret(report, session, ctx, options);
    } catch (error) {
      report.fail('history', error);
    } finally {
      await session.end();
    }
  }
  await checkRedis(report, ctx);
  if (seed) await checkSeed(report, ctx, options, state && planned && { state, planned });
  await checkAdmin(report, ctx);
  const lines = report.lines.map((line) => (line.fix === undefined ? line : { ...line, fix: ctx.again(line.fix) }));
  const failed = lines.find((line) => line.state === 'failed');
  return {
    fields: {
      database: describeDatabase(settings, state),
      checks: lines,
      ...(failed
        ? { outcome: failed.code as FailureOutcome, exitCode: EXIT_CODES[failed.code as FailureOutcome] }
        : {}),
    },
    text: (s) => `${render(lines, s)}\n\n${conclusion(lines, { seed })}`,
  };
}

/** What decides where a connection goes is told even where nobody set it. */
const ALWAYS_TOLD = ['host', 'dbname', 'user', 'password', 'sslmode'];

/** Each setting in force, where it came from, and which weaker places it hides; never the value of a secret. */
function describeSettings(settings: ConnectionSettings): string[] {
  const { hosts, dbname, user, password, sslmode, sources, hidden, given } = settings;
  const counts: Record<string, string> = {
    host: hosts.map(({ host, hostaddr, port }) => `${host || hostaddr}:${port}`).join(', '),
    dbname,
    user,
    password: password === undefined ? 'not set' : 'set',
    sslmode,
    target_session_attrs: settings.targetSessionAttrs,
    connect_timeout: formatMs(settings.connectTimeoutMs),
  };
  const lines = PARAMETERS.filter(({ keyword }) => keyword in sources || ALWAYS_TOLD.includes(keyword)).map(
    ({ keyword, secret }) => {
      const value = counts[keyword] ?? (secret ? 'set' : given[keyword]);
      const hides = hidden[keyword] ? `, hides ${hidden[keyword].join(', ')}` : '';
      return `${keyword} ${value || 'empty'} (${sources[keyword] ?? 'default'})${hides}`;
    },
  );
  return [...lines, ...(settings.role ? [`role ${settings.role}`] : [])];
}

async function checkNames(report: Report, settings: ConnectionSettings): Promise<void> {
  for (const host of settings.hosts) {
    if (isSocket(host)) continue;
    try {
      report.ok('dns', `${host.host || 'the host'} is ${(await addressesOf(host)).join(', ')}`);
    } catch (error) {
      report.failed(
        'dns',
        'unreachable',
        `${host.host} is not found (${messageOf(error)})`,
        'correct POSTGRES_HOST, or make its Service',
      );
    }
  }
}

async function login(ctx: CommandContext, report: Report): Promise<Session | undefined> {
  try {
    const session = await Session.open(ctx.resolve, { signal: ctx.signal, once: true });
    const { client } = session;
    const stream = (
      client as unknown as {
        connection: { stream: { encrypted?: boolean; getProtocol?: () => string; authorized?: boolean } };
      }
    ).connection.stream;
    report.ok('login', `logged in at ${client.host}:${client.port} as ${client.user}`);
    if (stream.encrypted) {
      const checked = stream.authorized ? 'its certificate is verified' : 'its certificate is not verified';
      report.ok('tls', `${stream.getProtocol?.()}, ${checked}`);
    } else
      report.warning(
        'tls',
        'the connection is not encrypted',
        'set PGSSLMODE=verify-full and PGSSLROOTCERT, unless the network is your own',
      );
    return session;
  } catch (error) {
    report.fail('login', error);
    return undefined;
  }
}

/** Tables of schema public that a publication of updates or deletes holds, and that have no replica identity (manual, CREATE PUBLICATION). */
const UNREPLICATED_SQL = `ARRAY(SELECT DISTINCT c.relname::text FROM pg_publication p
  JOIN pg_publication_tables t ON t.pubname = p.pubname JOIN pg_class c ON c.relname = t.tablename AND c.relnamespace = 'public'::regnamespace
  WHERE t.schemaname = 'public' AND (p.pubupdate OR p.pubdelete) AND (c.relreplident = 'n'
    OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) ORDER BY 1)`;

const PRIVILEGES_SQL = `SELECT has_database_privilege(current_user, current_database(), 'CREATE') AS "create",
  has_database_privilege(current_user, current_database(), 'TEMPORARY') AS temp,
  coalesce((SELECT has_schema_privilege(current_user, oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'), false) AS public,
  (SELECT has_schema_privilege(current_user, oid, 'CREATE') FROM pg_namespace WHERE nspname = 'kasm_db') AS kasm_db,
  (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT pg_has_role(current_user, c.relowner, 'USAGE'))::int AS "notOwned",
  ${otherCreatorsSql('session_user, current_user, (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database())')} AS creators,
  ${UNREPLICATED_SQL} AS unreplicated,
  current_setting('server_version') AS version, current_user AS "user", current_database() AS database`;

async function checkDatabase(report: Report, session: Session, state: MigrationState): Promise<void> {
  const [p] = await session.query(PRIVILEGES_SQL);
  const { user, database } = p as { user: string; database: string };
  if (state.serverVersion < MIN_SERVER_VERSION)
    report.failed(
      'version',
      'environment',
      `PostgreSQL ${p.version} is too old`,
      'use 13 or newer; Kasm 1.19 wants 16',
    );
  else {
    const note = kasmServerNote(state.serverVersion);
    if (note) report.warning('version', note.text, note.fix);
    else report.ok('version', `PostgreSQL ${p.version}`);
  }
  if (state.standby)
    report.failed(
      'primary',
      'unreachable',
      'this server is a standby; it takes no writes',
      'connect to the primary, or list all hosts (POSTGRES_HOST=a,b): then it is found',
    );
  else report.ok('primary', 'this server takes writes');
  const guard = readOnlyGuard(state, database);
  if (guard) report.fail('read-only', guard);
  const login = readOnlyLogin(state);
  if (login) report.warning('read-only', login, `ALTER ROLE "${user}" RESET default_transaction_read_only`);
  if (state.pooled)
    report.warning(
      'pooler',
      'a connection pooler stands before the server; migrations run one transaction each',
      'set KASM_DB_DIRECT_URL for migrations that cannot run in a transaction',
    );
  else report.ok('pooler', 'connected to PostgreSQL itself');
  const privilege = (name: string, has: boolean, what: string, fix: string) =>
    has ? report.ok(name, `${user} ${what}`) : report.failed(name, 'environment', `${user} lacks: ${what}`, fix);
  privilege(
    'privilege',
    p.public,
    'may create tables in schema public',
    `GRANT CREATE, USAGE ON SCHEMA public TO "${user}"`,
  );
  privilege(
    'privilege',
    p.kasm_db ?? p.create,
    p.kasm_db === null ? 'may create schema kasm_db' : 'may create tables in schema kasm_db',
    p.kasm_db === null ? `CREATE SCHEMA kasm_db AUTHORIZATION "${user}"` : `ALTER SCHEMA kasm_db OWNER TO "${user}"`,
  );
  const ownership = ownershipWarning(state.owner, database);
  if (ownership) report.warning('ownership', ownership.text, ownership.fix);
  else report.ok('ownership', `${state.owner.owner} owns database ${database}`);
  privilege(
    'privilege',
    p.temp,
    'may make temporary tables (for seeding)',
    `GRANT TEMPORARY ON DATABASE "${database}" TO "${user}"`,
  );
  if (p.creators.length > 0)
    report.warning(
      'privilege',
      `others may create functions and operators in schema public: ${p.creators.join(', ')}`,
      `as the owner of the schema, where nobody but Kasm uses this database: ${revokeSql(p.creators)}`,
    );
  if (p.notOwned > 0)
    report.failed(
      'ownership',
      'environment',
      `${p.notOwned} tables in schema public belong to roles that ${user} is no member of`,
      'ALTER TABLE … OWNER TO, or set KASM_DB_ROLE to their owner',
    );
  if (p.unreplicated.length > 0)
    report.warning(
      'publication',
      `a publication holds tables without a primary key, whose UPDATE and DELETE PostgreSQL then refuses: ${p.unreplicated.join(', ')}`,
      'as the owner of each: ALTER TABLE … REPLICA IDENTITY FULL, or take the table out of the publication',
    );
  for (const name of session.refusedSettings)
    report.warning(
      'protection',
      `the server does not take ${name}, so it may notice late that a client is gone, and the lock is free only then`,
      'nothing has to be done; a run that was killed keeps the lock until its statement ends, or its keepalives do',
    );
  if (!state.seesLocks && !state.standby)
    return report.failed(
      'lock',
      'environment',
      `${user} may not see who holds the migration lock`,
      `as a superuser: GRANT SELECT ON pg_catalog.pg_locks, pg_catalog.pg_stat_activity TO "${user}"`,
    );
  const [holder] = state.seesLocks ? await lockHolders(session) : [];
  if (holder)
    report.warning(
      'lock',
      `the migration lock is held by ${describeHolder(holder)}`,
      'wait; kasm-db status shows what it is doing',
    );
  else report.ok('lock', state.standby ? "a standby doesn't show it" : 'the migration lock is free');
}

async function checkRedis(report: Report, ctx: CommandContext): Promise<void> {
  if (!wantsRedis(ctx.env)) return report.ok('redis', 'not configured; gates poll');
  const { probe } = await import('../readiness/notifier.js');
  try {
    await probe(ctx.env, ctx.resolve().dbname);
    report.ok('redis', 'reached, logged in, may publish and subscribe');
  } catch (error) {
    if (error instanceof KasmDbError) report.fail('redis', error);
    // The gates don't depend on it, so this is no failure.
    else
      report.warning(
        'redis',
        messageOf(error),
        'correct KASM_DB_REDIS_*; an ACL user needs +subscribe, +publish and the channel kasm-db:*',
      );
  }
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
  const { givenCredentials, missingKeys, runSeed } = await import('./seed.js');
  try {
    const { keys } = givenCredentials(options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR, ctx.env);
    report.ok('secrets', keys.length > 0 ? `found ${keys.join(', ')}` : 'none are given');
    if (found?.state.standby) return;
    if (found && found.planned.pending.length === 0) {
      const { skipped, counts } = await runSeed(ctx, { ...options, dryRun: true });
      const written = counts.inserted + counts.updated;
      report.ok(
        'seed',
        skipped
          ? 'it is left to the newer build'
          : written === 0
            ? 'all is seeded'
            : `${written} rows would be written`,
      );
    } else if (found?.state.run?.seedDigest) report.ok('seed', 'it was seeded before');
    else {
      const missing = await missingKeys(ctx, options);
      if (missing.length === 0) report.ok('seed', 'all credentials that it needs are given');
      else
        report.failed(
          'seed',
          'seed',
          `it needs credentials that are not given: ${missing.join(', ')}`,
          'add these keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); to migrate without the seed: kasm-db doctor --no-seed',
        );
    }
  } catch (error) {
    report.fail('seed', error);
  }
}

async function checkAdmin(report: Report, ctx: CommandContext): Promise<void> {
  try {
    if (readVariable(ctx.env, 'DATABASE_MASTER_USER') === undefined) return;
    const { connectAdmin } = await import('../bootstrap/admin.js');
    const session = await connectAdmin(ctx, ctx.env, [ctx.resolve().dbname, 'postgres', 'template1'], { once: true });
    try {
      const [admin] = await session.reading(() => session.query(ADMIN_SQL));
      if (admin.able) report.ok('admin', `${admin.name} may create roles and databases (for bootstrap only)`);
      else
        report.warning(
          'admin',
          `${admin.name} (DATABASE_MASTER_USER) may not create roles and databases, as bootstrap has to`,
          'use the login of the administrator, or leave bootstrap to him',
        );
    } finally {
      await session.end();
    }
  } catch (error) {
    report.fail('admin', error);
  }
}

const ADMIN_SQL = `SELECT rolname AS name, rolsuper OR (rolcreaterole AND rolcreatedb) AS able FROM pg_roles WHERE rolname = session_user`;

function render(lines: readonly CheckLine[], s: Style): string {
  const marks = { ok: s.green('ok     '), warning: s.yellow('warning'), failed: s.red('failed ') };
  return lines
    .map(
      ({ name, state, text, fix }) =>
        `${marks[state]} ${name.padEnd(10)} ${text}${fix && state !== 'ok' ? `\n${' '.repeat(19)}${s.bold('fix:')} ${fix}` : ''}`,
    )
    .join('\n');
}
