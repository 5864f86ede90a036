import { KasmDbError } from '../app/errors.js';
import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { backoff, retry } from '../app/retry.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import { type ConnectionSettings, requireName } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import { LockTaken, requireWritable } from '../migrator/with-lock.js';
import { ANY_DATABASE } from '../postgres/login-hints.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { adminSettings, withAdmin } from './admin.js';
import { isRace, makeInMaintenance, makeInTarget, withoutEffect } from './carry-out.js';
import { type PasswordOptions, verifiersOf } from './password.js';
import { bootstrapWarnings, planBootstrap, type State } from './plan.js';
import { MAINTENANCE_DATABASES, type Names, readServerState, readTargetState } from './state.js';
import type { Step } from './step.js';

export interface BootstrapOptions extends PasswordOptions {
  /** Only say what would be run. */
  dryRun?: boolean | undefined;
  /** Role for the gates, which may read the history and nothing else. */
  gateRole?: string | undefined;
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
  /** The database was there before, with the history's schema. */
  hadHistory: boolean;
}

const DEFAULT_LOCK_TIMEOUT_MS = 300_000;
const MAX_RACES = 20;
const WAIT = { firstMs: 50, factor: 1.5, maxMs: 2000 };

/**
 * Makes role, database, extension and history with the admin login, each only where it is missing; safe to repeat and to run many times at
 * once. An existing role keeps its password, attributes and memberships.
 * @throws KasmDbError usage without an admin login; seed when the password of a role to be made is not known; environment with the
 *   statement to run where the admin may not do something; locked; unreachable
 */
export async function bootstrap(ctx: Context, options: BootstrapOptions): Promise<BootstrapResult> {
  const settings = ctx.resolve();
  const names = namesOf(settings, options.env, options.gateRole);
  const withPassword = { ...options, appPassword: options.appPassword ?? settings.password };
  const waitMs = options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
  const soFar: SoFar = { done: new Map() };
  let races = 0;
  // No connection is held while waiting, as with the migration lock.
  return retry(() => makeMissing(ctx, withPassword, names, soFar), {
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

/** The roles and the database that are wanted. @throws KasmDbError usage */
function namesOf(settings: ConnectionSettings, env: Environment, gateRole: string | undefined): Names {
  if (settings.dbname === '*') throw new KasmDbError('usage', 'dbname "*" names no database', { hint: ANY_DATABASE });
  const admin = adminSettings(settings, env, settings.dbname).user;
  const { user, role = user, dbname } = settings;
  for (const [what, name] of Object.entries({ user, role, gate: gateRole, dbname })) {
    // The server would cut it, and then never find it again.
    if (name !== undefined && Buffer.byteLength(name) > 63) {
      throw new KasmDbError('usage', `${what} "${name}" is longer than PostgreSQL's 63 bytes`, {
        hint: 'take a shorter name',
      });
    }
  }
  if (gateRole !== undefined) requireName('role', gateRole, '--gate-role');
  if (gateRole !== undefined && [user, role, admin].includes(gateRole)) {
    throw new KasmDbError('usage', `--gate-role ${gateRole} is a role that may do more than read`, {
      hint: 'name a role of its own, such as kasm_gate',
    });
  }
  return { login: user, owner: role, gate: gateRole, database: dbname };
}

/** What all attempts together have found and done. */
interface SoFar {
  /** As planned at first. */
  first?: Step[];
  hadHistory?: boolean;
  /** By the step's name. */
  done: Map<string, Step>;
}

/** Makes what is missing, until nothing is. */
async function makeMissing(
  ctx: Context,
  options: BootstrapOptions,
  names: Names,
  soFar: SoFar,
): Promise<BootstrapResult> {
  const { env, dryRun } = options;
  const made = (step: Step) => {
    soFar.done.set(step.what, step);
    ctx.events.progress?.(`made ${step.what}`);
  };
  for (let before: string | undefined; ; ) {
    const state = await readState(ctx, env, names);
    const wanted = { ...names, verifiers: verifiersOf(state.server, names, options) };
    const steps = planBootstrap(state, wanted);
    soFar.first ??= steps;
    soFar.hadHistory ??= Boolean(state.target?.history);
    const missing = steps.filter((step) => !step.present);
    if (missing.length === 0 || dryRun) {
      return {
        steps: dryRun ? steps.map((step) => ({ ...step, state: step.present ? 'there' : 'missing' })) : stepsOf(soFar),
        warnings: bootstrapWarnings(state, names),
        hadHistory: soFar.hadHistory,
      };
    }
    const left = missing.map((step) => step.what).join(', ');
    if (left === before) throw withoutEffect(missing, names);
    before = left;
    const make = missing.some((step) => step.where === 'maintenance') ? makeInMaintenance : makeInTarget;
    await make({ ctx, env, wanted, state, made });
  }
}

async function readState(ctx: Context, env: Environment, names: Names): Promise<State> {
  const server = await withAdmin(ctx, env, [...MAINTENANCE_DATABASES, names.database], (session) =>
    readServerState(session, names),
  );
  const { version: serverVersion, standby, readOnlyBy } = server;
  requireWritable({ serverVersion, standby, readOnlyBy: readOnlyBy ?? undefined }, names.database);
  if (!server.database) return { server };
  return { server, target: await withAdmin(ctx, env, [names.database], (session) => readTargetState(session, names)) };
}

/** In the order in which they were planned; what others have made meanwhile and we have made anew comes last. */
function stepsOf({ first = [], done }: SoFar): BootstrapStep[] {
  const all = new Map([...first.map((step): [string, Step] => [step.what, step]), ...done]);
  return [...all.values()].map((step) => ({ ...step, state: done.has(step.what) ? 'done' : 'there' }));
}

function locked(holder: LockHolder | undefined, waitedMs: number): KasmDbError {
  return new KasmDbError(
    'locked',
    `another bootstrap or migrator was at work for ${formatMs(waitedMs)}: ${describeHolder(holder)}`,
    { hint: 'run the same command again' },
  );
}
