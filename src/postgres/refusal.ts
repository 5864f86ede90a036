import { KasmDbError, messageOf } from '../app/errors.js';
import type { Host } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { loginHint } from './login-hints.js';
import { poolerHint, refusesSimpleQueries } from './pooler-words.js';
import { isServerError, type ServerError, shownOf } from './server-error.js';

/** How an attempt ends that took too long. */
export const TIME_IS_UP = 'timeout expired';

/** What may be wrong with one attempt, and whether a later one may succeed. */
export interface Refusal {
  error: KasmDbError;
  retryable: boolean;
  /** No other address or host of a list is tried: the server has answered. */
  ends?: boolean;
  /** The server said nothing in its time, which tells less than what an earlier attempt was refused for. */
  silent?: boolean;
}

/** True where TLS itself failed: refused by the server, or its certificate by us. */
export function isTlsRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return (
    /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/.test(code) ||
    // pg has no code for this one.
    error.message === 'The server does not support SSL connections'
  );
}

/** A host as messages name it. */
export function hostText({ host, hostaddr, port }: Host): string {
  const name = host || (hostaddr as string);
  if (name.startsWith('/')) return `${name} (port ${port})`;
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`;
}

/**
 * What a failed attempt means: the one table of what another attempt may mend. As in libpq, a server that has answered ends a
 * list of hosts, but where it says that it is starting up or shutting down.
 */
export function refusal(error: unknown, settings: ConnectionSettings, host: Host): Refusal {
  const at = hostText(host);
  if (error instanceof KasmDbError) return { retryable: false, ends: true, error };
  if (isServerError(error)) return refusedByServer(error, settings, at);
  const refuse = (message: string, hint: string): Refusal => ({
    retryable: true,
    error: new KasmDbError('unreachable', message, { hint, cause: error }),
  });
  if (isTlsRefusal(error)) {
    const message = `TLS with ${at} failed (sslmode=${settings.sslmode}): ${messageOf(error)}`;
    const hint = 'check sslmode, PGSSLROOTCERT and the name in the server certificate';
    return { ...refuse(message, hint), retryable: false, ends: true };
  }
  const code = codeOf(error);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return refuse(
      `the host name "${host.host}" is not found in DNS (${code})`,
      'correct POSTGRES_HOST, or wait until its Service exists',
    );
  if (code === 'ECONNREFUSED' || code === 'ENOENT')
    return refuse(
      `${at} refuses connections (${code})`,
      'is PostgreSQL running there? check POSTGRES_HOST and POSTGRES_PORT',
    );
  if (messageOf(error) === TIME_IS_UP) {
    const hint = 'check POSTGRES_HOST, POSTGRES_PORT, firewalls and NetworkPolicies';
    return { ...refuse(`${at} did not answer in time`, hint), silent: true };
  }
  return refuse(`cannot connect to ${at}: ${messageOf(error)}`, 'check POSTGRES_HOST, POSTGRES_PORT and the server');
}

function refusedByServer(error: ServerError, settings: ConnectionSettings, at: string): Refusal {
  const { code } = error;
  return {
    retryable: code.startsWith('57') || code.startsWith('53'),
    ends: code !== '57P03',
    error: new KasmDbError('unreachable', `${whatItRefuses(code, settings, at)}: ${error.message} (SQLSTATE ${code})`, {
      hint: loginHint(error, settings),
      cause: error,
      ...shownOf(error),
    }),
  };
}

function whatItRefuses(code: string, { user, dbname }: ConnectionSettings, at: string): string {
  if (code === '57P03') return `${at} is starting up or shutting down`;
  if (code === '53300') return `${at} has no connection left`;
  if (code.startsWith('28')) return `${at} refuses the login of "${user}"`;
  if (code === '3D000') return `${at} has no database "${dbname}"`;
  return at;
}

/** The login was taken, but the first query failed: so a pooler does whose server is gone, frozen or busy. */
export function unanswered(error: unknown, host: Host): Refusal {
  const said = isServerError(error) ? error : undefined;
  const lasting = said !== undefined && refusesSimpleQueries(said);
  const hint =
    (said && poolerHint(said)) ??
    'if a pooler answers there, is its server running? KASM_DB_DIRECT_URL leads around the pooler';
  const message = `${hostText(host)} takes the login, but not a query: ${messageOf(error)}`;
  return {
    retryable: said === undefined || (!lasting && /^(08|53|57)/.test(said.code)),
    ends: lasting,
    silent: error instanceof KasmDbError,
    error: new KasmDbError(lasting ? 'environment' : 'unreachable', message, {
      hint,
      cause: error,
      ...shownOf(error),
    }),
  };
}

/** A server that answers, but is not of the kind wished for; a failover may change that. */
export function wrongKind(settings: ConnectionSettings, host: Host, what: string): Refusal {
  const message = `${hostText(host)} ${what} (target_session_attrs=${settings.targetSessionAttrs})`;
  const hint = 'list all hosts of the cluster (POSTGRES_HOST=a,b), or correct PGTARGETSESSIONATTRS';
  return { retryable: true, error: new KasmDbError('unreachable', message, { hint }) };
}

/**
 * What to say of several hosts that all refused: the reason that another attempt may mend decides, all are told. A list without the server that is
 * wished for is unreachable, not a wrong environment: during a failover there is none for a while.
 */
export function combine(refusals: readonly Refusal[]): Refusal {
  const [first] = refusals as [Refusal];
  if (refusals.length === 1) return first;
  const ended = refusals.find(({ ends }) => ends);
  const chosen = ended ?? refusals.findLast(({ retryable }) => retryable) ?? first;
  const reasons = [...new Set(refusals.map(({ error }) => error.message))].join('; ');
  const message = ended ? reasons : `none of the ${refusals.length} hosts will do: ${reasons}`;
  return {
    retryable: chosen.retryable,
    ends: ended !== undefined,
    silent: refusals.every(({ silent }) => silent === true),
    error: new KasmDbError('unreachable', message, { ...chosen.error.details, cause: chosen.error }),
  };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return (error as NodeJS.ErrnoException)?.code;
}
