import { escapeIdentifier } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Context } from '../config/context.js';
import type { Environment } from '../config/variables.js';
import { ensureHistory } from '../history/tables.js';
import { LockTaken } from '../migrator/with-lock.js';
import { namingEventTrigger } from '../postgres/event-triggers.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import { isServerError, type ServerError, shownOf, withServerHint } from '../postgres/server-error.js';
import { isConnectionLost, sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import { withAdmin } from './admin.js';
import { planBootstrap, type State, type Wanted } from './plan.js';
import { AS_ADMIN, MAINTENANCE_DATABASES, type Names, readServerState, readTargetState } from './state.js';
import type { Step } from './step.js';

/** As long as one statement may wait for a lock that traffic holds. */
const DDL_LOCK_TIMEOUT_MS = 2000;

/**
 * Someone else made the same thing between our reading and our statement (42710 object, 42P04 database, 42P06 schema, 42P07 table, 23505 its
 * catalog row, XX000 "tuple concurrently updated" of two GRANTs), or was in the way (55006, 55P03, 40001, 40P01): read again.
 */
const RACES = new Set(['42710', '42P04', '42P06', '42P07', '23505', 'XX000', '55006', '55P03', '40001', '40P01']);

/** Others were in the way: what is there has to be read again. */
export const isRace = (error: unknown) => RACES.has(sqlstateOf(error) ?? '');

export interface Work {
  ctx: Context;
  env: Environment;
  wanted: Wanted;
  state: State;
  /** Told of what has been made. */
  made: (step: Step) => void;
}

/**
 * Roles and database, one statement after the other (CREATE DATABASE cannot be in a transaction), each planned anew from what is there.
 * The lock is that of the maintenance database; behind a pooler, where a session lock is worse than none, what the others made is met as an error,
 * and what is there is read again.
 */
export function makeInMaintenance({ ctx, env, wanted, state: { target }, made }: Work): Promise<void> {
  return withAdmin(ctx, env, [...MAINTENANCE_DATABASES, wanted.database], async (session) => {
    let server = await readServerState(session, wanted);
    if (!server.pooled) {
      const lock = await session.reading(() => tryLock(session));
      if (!lock.locked) throw new LockTaken(lock.holder);
      await session.settle('own', { lockTimeoutMs: DDL_LOCK_TIMEOUT_MS });
      await session.script('SET ROLE NONE');
      server = await readServerState(session, wanted);
    }
    for (let last: string | undefined; ; server = await readServerState(session, wanted)) {
      const step = planBootstrap({ server, target }, wanted).find((s) => s.where === 'maintenance' && !s.present);
      if (!step) break;
      if (step.what === last) throw withoutEffect([step], wanted);
      last = step.what;
      await run(step, wanted, [], () => session.script(step.sql));
      made(step);
    }
    if (!server.pooled) await unlock(session);
  });
}

/** What belongs into the target database, in one transaction under the migration lock, since a migrator may be making its history. */
export function makeInTarget({ ctx, env, wanted, state: { server }, made }: Work): Promise<void> {
  return withAdmin(ctx, env, [wanted.database], async (session) => {
    await session.begin('write', { lockTimeoutMs: DDL_LOCK_TIMEOUT_MS });
    await session.script(AS_ADMIN);
    const lock = await tryTransactionLock(session);
    if (!lock.locked) throw new LockTaken(lock.holder);
    const target = await readTargetState(session, wanted);
    const steps = planBootstrap({ server, target }, wanted).filter((s) => s.where === 'target' && !s.present);
    try {
      for (const step of steps) {
        await run(step, wanted, steps, async () => {
          if (step.as) await session.script(`SET LOCAL ROLE ${escapeIdentifier(step.as)}`);
          if (step.history) await ensureHistory(session);
          else await session.script(step.sql);
          if (step.as) await session.script(AS_ADMIN);
        });
      }
    } catch (error) {
      await session.rollback();
      throw error instanceof KasmDbError ? await namingEventTrigger(session, error) : error;
    }
    await session.commit('bootstrap');
    steps.forEach(made);
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
export function withoutEffect(missing: Step[], names: Names): KasmDbError {
  const step = missing[0] as Step;
  const message = `making ${step.what} had no effect; the admin may lack the right to it`;
  return new KasmDbError('environment', message, forSomeoneElse(step, names, missing));
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
