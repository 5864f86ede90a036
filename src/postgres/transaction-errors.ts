import { KasmDbError, messageOf } from '../app/errors.js';
import { shownOf } from './server-error.js';
import { isConnectionLost, sqlstateOf, toKasmDbError } from './sqlstate.js';

/** What a transaction that could not begin means. @param role to SET, where one is given */
export function beginError(error: unknown, role: string | undefined): unknown {
  const code = sqlstateOf(error);
  const said = `${messageOf(error)} (SQLSTATE ${code})`;
  if (role !== undefined && (code === '22023' || code === '42501')) {
    return new KasmDbError('environment', `cannot SET ROLE "${role}": ${said}`, {
      ...shownOf(error),
      cause: error,
      hint: 'create the role, or GRANT it to the login WITH SET TRUE; it comes from --role or KASM_DB_ROLE',
    });
  }
  // PgBouncer's words, which are in no other language: it gives every statement to another server connection.
  if (code === '08P01' && /statement pooling/.test(said)) {
    return new KasmDbError('environment', `a pooler refuses to begin a transaction: ${said}`, {
      ...shownOf(error),
      cause: error,
      hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself, or pool_mode=transaction for this database',
    });
  }
  return toKasmDbError(error, 'beginning a transaction');
}

/**
 * What a COMMIT that was not confirmed means.
 * @param what for messages, such as the migration's name
 * @param failure undefined: it was answered with something else
 */
export function commitError(what: string, failure: unknown): KasmDbError {
  if (failure === undefined) {
    // A transaction that had failed unnoticed answers COMMIT with ROLLBACK.
    return new KasmDbError('failed', `${what}: the server rolled back instead of committing; nothing of it was kept`, {
      hint: 'run the same command again; the server log says why',
    });
  }
  if (!isConnectionLost(failure)) return toKasmDbError(failure, `${what} failed at COMMIT, nothing of it was kept`);
  return toKasmDbError(failure, `${what}: the answer to COMMIT was lost, so it is not known whether it is committed`, {
    hint: FINDS_OUT,
  });
}

/** A signal came while COMMIT was on its way. */
export function interruptedInCommit(what: string, reason: unknown): unknown {
  return withDoubt(
    reason,
    `the answer to the COMMIT of ${what} did not come, so it is not known whether it is committed`,
  );
}

/** The signal has ended a COMMIT's wait for a synchronous standby. */
export function interruptedInReplication(what: string, reason: unknown): unknown {
  return withDoubt(reason, `${what} is committed, but it is not known whether a standby has it`);
}

function withDoubt(reason: unknown, unknown: string): unknown {
  if (!(reason instanceof KasmDbError)) return reason;
  return new KasmDbError(reason.outcome, `${reason.message}; ${unknown}`, {
    ...reason.details,
    exitCode: reason.exitCode,
    hint: FINDS_OUT,
  });
}

const FINDS_OUT = 'run the same command again: it finds out, and does what is missing';
