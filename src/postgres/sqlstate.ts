import { type ErrorDetails, KasmDbError, messageOf } from '../app/errors.js';
import { poolerHint } from './pooler-words.js';
import { isServerError, type ServerError, shownOf, withServerHint } from './server-error.js';
import { excerpt } from './statements.js';

/** The SQLSTATE of a server's error, as it came or as a KasmDbError has it. */
export function sqlstateOf(error: unknown): string | undefined {
  if (isServerError(error)) return error.code;
  return error instanceof KasmDbError ? error.details.sqlstate : undefined;
}

/** SQLSTATEs that tell of a connection that is gone or was not granted; another attempt may succeed after each of them. */
const CONNECTION_STATES = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25P03', '25P04']);
const NETWORK_CODES =
  /^(ECONN(REFUSED|RESET|ABORTED)|E(HOST|NET)(UNREACH|DOWN)|EPIPE|ETIMEDOUT|EADDRNOTAVAIL|ENOTFOUND|EAI_(AGAIN|FAIL|NODATA)|ENOENT|EACCES)$/;
/** pg's own words for a lost connection; it gives these errors no code. */
const PG_LOST = /^(Connection terminated|timeout expired|Client was closed|Client has encountered a connection error)/;

/** True for an error after which the connection cannot be used any more. */
export function isConnectionLost(error: unknown): boolean {
  if (isServerError(error))
    return error.code.startsWith('08') || CONNECTION_STATES.has(error.code) || error.severity === 'FATAL';
  const { code = '', message = '' } = (error ?? {}) as NodeJS.ErrnoException;
  return NETWORK_CODES.test(code) || PG_LOST.test(message);
}

/**
 * Gives an error of pg, of the network or of the server its outcome; the one place where that is decided.
 * @param doing what was being done, in the form "applying 0003_zones"
 */
export function toKasmDbError(error: unknown, doing: string, details: ErrorDetails = {}): KasmDbError {
  if (error instanceof KasmDbError) return Object.keys(details).length > 0 ? error.with(details) : error;
  if (isServerError(error)) {
    // Its text may repeat the file from an open quote on.
    const message = `${doing}: ${excerpt(error.message)} (SQLSTATE ${error.code})`;
    return new KasmDbError(outcomeOf(error), message, {
      ...shownOf(error),
      cause: error,
      ...details,
      hint: hintOf(error, details.hint),
    });
  }
  if (isConnectionLost(error)) {
    return new KasmDbError('unreachable', `${doing}: the connection was lost (${messageOf(error)})`, {
      cause: error,
      hint: 'run the same command again; nothing half-done is left behind',
      ...details,
    });
  }
  return new KasmDbError('internal', `${doing}: ${messageOf(error)}`, { cause: error, ...details });
}

function outcomeOf({ code }: ServerError): 'unreachable' | 'locked' | 'failed' | 'environment' {
  // A refused login (class 28) may succeed later, since a Secret may come.
  if (/^(08|28)/.test(code) || CONNECTION_STATES.has(code)) return 'unreachable';
  if (['40001', '40P01', '55P03'].includes(code)) return 'locked';
  // Privilege, read-only, an extension's file that is not there.
  return ['42501', '25006', '58P01'].includes(code) ? 'environment' : 'failed';
}

/** Every failure has a next step. */
const DEFAULT_HINTS: Record<ReturnType<typeof outcomeOf>, string> = {
  unreachable: 'run the same command again',
  locked: 'run the same command again; kasm-db status says who is in the way',
  environment: 'kasm-db doctor lists what is needed',
  failed: 'look into the server log at this time, where the whole statement stands; kasm-db doctor looks at the rest',
};

const HINTS: Record<string, string> = {
  '53100': 'the server has no disk space left; free some and run the command again',
  '53200':
    'the server is out of shared memory; raise max_locks_per_transaction or its memory, then run the command again',
  '25006': 'the server or the role is read-only; connect to the primary',
  '42501': 'grant the privilege, or run as the owner of the database (`kasm-db doctor` lists what is needed)',
  '57P01': 'somebody or a restart of the server ended the session; run the same command again',
  '57P05': 'idle_session_timeout of the role, the database or the server ended the session; run the same command again',
  '25P03': 'idle_in_transaction_session_timeout ended the session; run the same command again',
  '25P04': 'transaction_timeout ended the session; run the same command again',
};

/** @param own what the caller knows better */
function hintOf(error: ServerError, own = poolerHint(error)): string {
  return withServerHint(own, error) ?? HINTS[error.code] ?? DEFAULT_HINTS[outcomeOf(error)];
}
