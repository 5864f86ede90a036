import { escapeIdentifier } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { backoff, retry } from '../app/retry.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import type { ConnectionSettings } from '../config/settings.js';
import { type Environment, readVariable } from '../config/variables.js';
import { CREATE_TABLES_SQL, ensureHistory } from '../history/tables.js';
import { LockTaken, requireWritable } from '../migrator/with-lock.js';
import { namingEventTrigger } from '../postgres/event-triggers.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import { ANY_DATABASE } from '../postgres/login-hints.js';
import { isServerError, type ServerError, shownOf, withServerHint } from '../postgres/server-error.js';
import type { Session } from '../postgres/session.js';
import { isConnectionLost, sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import { adminSettings, connectAdmin } from './admin.js';
import { verifierOf } from './password.js';
import { bootstrapWarnings, planBootstrap, type State, type Step, type Wanted } from './plan.js';
import { AS_ADMIN, lookAtServer, lookAtTarget, type Names, type ServerState } from './state.js';

export interface BootstrapOptions {
  /** Where the admin login is looked up: DATABASE_MASTER_USER and DATABASE_MASTER_PASSWORD, each also as NAME_FILE. */
  env: Environment;
  /** Only say what would be run. */
  dryRun?: boolean | undefined;
  /** Role for the gates, which may read the history and nothing else. */
  gateRole?: string | undefined;
  /** Password of the application's role, should it have to be made; default: the one of the connection settings. */
  appPassword?: string | undefined;
  /** Password of the gates' role, should it have to be made; default: KASM_DB_GATE_PASSWORD or KASM_DB_GATE_PASSWORD_FILE. */
  gatePassword?: string | undefined;
  /** How long to wait for another bootstrap or a migrator, in milliseconds; default 5 min. */
  lockTimeoutMs?: number | undefined;
}

export interface BootstrapStep extends Step {
  /** missing: only in a dry run. */
  state: 'done' | 'there' | 'missing';
}

export interface BootstrapResult {
  /** In the order in which they are done. */
  steps: BootstrapStep[];
  warnings: string[];
  serverVersion: number;
  /** The database was there before, with the history's schema. */
  hadHistory: boolean;
}

const DEFAULT_LOCK_TIMEOUT_MS = 300_000;
/** As long as one statement may wait for a lock that traffic holds. */
const DDL_LOCK_TIMEOUT_MS = 2000;
/** postgres may be dropped or closed; template1 is always there. */
const MAINTENANCE_DATABASES = ['postgres', 'template1'];
/**
 * Someone else made the same thing between our reading and our statement (42710 object, 42P04 database, 42P06 schema, 42P07 table, 23505 its
 * catalog row, XX000 "tuple concurrently updated" of two GRANTs), or was in the way (55006, 55P03, 40001, 40P01): read again.
 */
const RACES = new Set(['42710', '42P04', '42P06', '42P07', '23505', 'XX000', '55006', '55P03', '40001', '40P01']);
const MAX_RACES = 20;
const isRace = (error: unknown) => RACES.has(sqlstateOf(error) ?? '');
const WAIT = { firstMs: 50, factor: 1.5, maxMs: 2000 };

/**
 * Makes role, database, extension and history with the admin login, each only where it is missing; safe to repeat and to run many times at
 * once. An existing role keeps its password, attributes and memberships.
 * @throws KasmDbError usage without an admin login; seed when the password of a role to be made is not known; environment with the
 *   statement to run where the admin may not do something; locked; unreachable
 */
export async function bootstrap(ctx: Context, options: BootstrapOptions): Promise<BootstrapResult> {
  const settings = ctx.resolve();
  const names = namesOf(settings, options);
  const waitMs = options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
  const done = new Map<string, Step>();
  let first: Step[] | undefined;
  let hadHistory: boolean | undefined;
  let races = 0;
  /** Makes what is missing, until nothing is. */
  const attempt = async (): Promise<BootstrapResult> => {
    for (let before: string | undefined; ; ) {
      const state = await readState(ctx, options.env, names);
      const wanted: Wanted = {
        ...names,
        verifiers: verifiers(state.server, names, options, settings),
        historySql: CREATE_TABLES_SQL,
      };
      const steps = planBootstrap(state, wanted);
      first ??= steps;
      hadHistory ??= state.target?.history !== undefined;
      const missing = steps.filter((step) => !step.present);
      if (missing.length === 0 || options.dryRun) {
        const result = options.dryRun ? steps : [...first, ...[...done.values()].filter(notIn(first))];
        return {
          steps: result.map((step) => ({ ...step, state: stateOf(step, done, options.dryRun === true) })),
          warnings: bootstrapWarnings(state, names),
          serverVersion: state.server.version,
          hadHistory,
        };
      }
      const left = missing.map((step) => step.what).join(', ');
      if (left === before) throw withoutEffect(missing, names);
      before = left;
      const work: Work = { ctx, wanted, state, done, env: options.env };
      await (missing.some((step) => step.where === 'maintenance') ? inMaintenance(work) : inTarget(work));
    }
  };
  // No connection is held while waiting, as with the migration lock.
  return retry(attempt, {
    deadline: now() + waitMs,
    backoff: backoff(WAIT),
    retryable: (error) => error instanceof LockTaken || (isRace(error) && ++races <= MAX_RACES),
    onRetry: (error) => ctx.events.waitForLock?.(error instanceof LockTaken ? error.holder : undefined),
    signal: ctx.signal,
  }).catch((error) => {
    if (error instanceof LockTaken) throw locked(error.holder, waitMs);
    if (!(error instanceof KasmDbError)) ctx.signal.throwIfAborted();
    throw toKasmDbError(error, 'bootstrap');
  });
}

interface Work {
  ctx: Context;
  env: Environment;
  wanted: Wanted;
  state: State;
  /** What this call has done, by the step's name. */
  done: Map<string, Step>;
}

function namesOf(settings: ConnectionSettings, { env, gateRole }: BootstrapOptions): Names {
  if (settings.dbname === '*') throw new KasmDbError('usage', 'dbname "*" names no database', { hint: ANY_DATABASE });
  const admin = adminSettings(settings, env, settings.dbname).user;
  const names = {
    login: settings.user,
    owner: settings.role ?? settings.user,
    gate: gateRole,
    database: settings.dbname,
  };
  for (const [what, name] of Object.entries({
    user: names.login,
    role: names.owner,
    gate: gateRole,
    dbname: names.database,
  })) {
    // The server would cut it, and then never find it again.
    if (name !== undefined && Buffer.byteLength(name) > 63) {
      throw new KasmDbError('usage', `${what} "${name}" is longer than PostgreSQL's 63 bytes`, {
        hint: 'take a shorter name',
      });
    }
  }
  if (gateRole !== undefined && [names.login, names.owner, admin].includes(gateRole)) {
    throw new KasmDbError('usage', `--gate-role ${gateRole} is a role that may do more than read`, {
      hint: 'name a role of its own, such as kasm_gate',
    });
  }
  return names;
}

/** Verifiers of the roles that have to be made. @throws KasmDbError seed */
function verifiers(server: ServerState, names: Names, options: BootstrapOptions, settings: ConnectionSettings) {
  const missing = (name: string) => !server.roles.some((role) => role.name === name);
  const gate = names.gate;
  return {
    ...(missing(names.login)
      ? {
          login: verifierOf(options.appPassword ?? settings.password, {
            role: names.login,
            key: 'db-password',
            variable: 'POSTGRES_PASSWORD',
          }),
        }
      : {}),
    ...(gate !== undefined && missing(gate)
      ? {
          gate: verifierOf(options.gatePassword ?? readVariable(options.env, GATE_PASSWORD)?.value, {
            role: gate,
            key: 'gate-password',
            variable: GATE_PASSWORD,
          }),
        }
      : {}),
  };
}

const GATE_PASSWORD = 'KASM_DB_GATE_PASSWORD';

async function readState(ctx: Context, env: Environment, names: Names): Promise<State> {
  const server = await withAdmin(ctx, env, [...MAINTENANCE_DATABASES, names.database], (session) =>
    lookAtServer(session, names),
  );
  requireWritable(
    { serverVersion: server.version, standby: server.standby, readOnlyBy: server.readOnlyBy },
    names.database,
  );
  if (!server.database) return { server };
  return { server, target: await withAdmin(ctx, env, [names.database], (session) => lookAtTarget(session, names)) };
}

async function withAdmin<T>(
  ctx: Context,
  env: Environment,
  dbnames: readonly string[],
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connectAdmin(ctx, env, dbnames);
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

/**
 * Roles and database, one statement after the other (CREATE DATABASE cannot be in a transaction), each planned anew from what is there.
 * The lock is that of the maintenance database; behind a pooler, where a session lock is worse than none, what the others made is met as an error,
 * and what is there is read again.
 */
function inMaintenance({ ctx, env, wanted, state: { target }, done }: Work): Promise<void> {
  const dbnames = [...MAINTENANCE_DATABASES, wanted.database];
  return withAdmin(ctx, env, dbnames, async (session) => {
    let server = await lookAtServer(session, wanted);
    if (!server.pooled) {
      const lock = await session.reading(() => tryLock(session));
      if (!lock.locked) throw new LockTaken(lock.holder);
      await session.settle('own', { lockTimeoutMs: DDL_LOCK_TIMEOUT_MS });
      await session.script('SET ROLE NONE');
      server = await lookAtServer(session, wanted);
    }
    for (let last: string | undefined; ; server = await lookAtServer(session, wanted)) {
      const step = planBootstrap({ server, target }, wanted).find((s) => s.where === 'maintenance' && !s.present);
      if (!step) break;
      if (step.what === last) throw withoutEffect([step], wanted);
      last = step.what;
      await run(step, wanted, [], () => session.script(step.sql));
      done.set(step.what, step);
      ctx.events.progress?.(`made ${step.what}`);
    }
    if (!server.pooled) await unlock(session);
  });
}

/** What belongs into the target database, in one transaction under the migration lock, since a migrator may be making its history. */
function inTarget({ ctx, env, wanted, state: { server }, done }: Work): Promise<void> {
  return withAdmin(ctx, env, [wanted.database], async (session) => {
    await session.begin('write', { lockTimeoutMs: DDL_LOCK_TIMEOUT_MS });
    await session.script(AS_ADMIN);
    const lock = await tryTransactionLock(session);
    if (!lock.locked) throw new LockTaken(lock.holder);
    const target = await lookAtTarget(session, wanted);
    const steps = planBootstrap({ server, target }, wanted).filter((s) => s.where === 'target' && !s.present);
    try {
      for (const step of steps) {
        await run(step, wanted, steps, async () => {
          if (step.as) await session.script(`SET LOCAL ROLE ${escapeIdentifier(step.as)}`);
          if (step.history) await ensureHistory(session);
          else await session.script(step.sql);
          if (step.as) await session.script('SET LOCAL ROLE NONE');
        });
      }
    } catch (error) {
      await session.rollback();
      throw error instanceof KasmDbError ? await namingEventTrigger(session, error) : error;
    }
    await session.commit('bootstrap');
    for (const step of steps) {
      done.set(step.what, step);
      ctx.events.progress?.(`made ${step.what}`);
    }
  });
}

/**
 * Runs a step; what the admin may not do becomes the statements for someone who may.
 * @param all the steps that are run together with it
 */
async function run(step: Step, names: Names, all: Step[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isServerError(error) || isConnectionLost(error) || RACES.has(error.code)) throw error;
    // Managed servers refuse an extension with other states than 42501: Azure has a list of those it allows.
    if (error.code === '42501' || step.what.startsWith('extension ')) {
      throw new KasmDbError('environment', `making ${step.what}: ${error.message} (SQLSTATE ${error.code})`, {
        ...shownOf(error),
        ...forSomeoneElse(step, names, all, error),
        cause: error,
      });
    }
    throw toKasmDbError(error, `making ${step.what}`, { statement: step.sqlForDisplay });
  }
}

/** GRANT without the right to it can end in a warning only. */
function withoutEffect(missing: Step[], names: Names): KasmDbError {
  const step = missing[0] as Step;
  return new KasmDbError('environment', `making ${step.what} had no effect; the admin may lack the right to it`, {
    ...forSomeoneElse(step, names, missing),
  });
}

/** All that needs other rights than this admin's and the application's, so that nobody is asked twice. */
function forSomeoneElse(
  step: Step,
  { owner, database }: Names,
  all: Step[],
  said: Pick<ServerError, 'hint'> = {},
): { statement: string; hint: string } {
  const statement = [step, ...all.filter((other) => other !== step && other.as !== owner)]
    .map(({ sqlForDisplay }) => sqlForDisplay)
    .join('; ');
  const where = step.where === 'target' ? `, in database ${database}` : '';
  const hint = `as a superuser or the owner${where}: ${statement}`;
  return { statement, hint: withServerHint(hint, said) as string };
}

function locked(holder: LockHolder | undefined, waitedMs: number): KasmDbError {
  return new KasmDbError(
    'locked',
    `another bootstrap or migrator was at work for ${formatMs(waitedMs)}: ${describeHolder(holder)}`,
    {
      hint: 'run the same command again',
    },
  );
}

const notIn = (steps: Step[]) => (step: Step) => !steps.some((other) => other.what === step.what);

function stateOf(step: Step, done: Map<string, Step>, dryRun: boolean): BootstrapStep['state'] {
  if (dryRun && !step.present) return 'missing';
  return done.has(step.what) ? 'done' : 'there';
}
