import { KasmDbError, messageOf } from '../app/errors.js';
import type { Host } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { isServerError } from './sqlstate.js';

/** What may be wrong with one attempt, and whether a later one may succeed. */
export interface Refusal {
  error: KasmDbError;
  retryable: boolean;
  /** No other address or host of a list is tried: the server has answered. */
  ends?: boolean;
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
  const refuse = (retryable: boolean, message: string, hint: string, sqlstate?: string): Refusal => ({
    retryable,
    ends: isTlsRefusal(error) || (sqlstate !== undefined && sqlstate !== '57P03'),
    error: new KasmDbError('unreachable', message, { hint, cause: error, ...(sqlstate ? { sqlstate } : {}) }),
  });
  if (error instanceof KasmDbError) return { retryable: false, ends: true, error };
  if (isServerError(error)) {
    const said = `${error.message} (SQLSTATE ${error.code})`;
    if (error.code === '57P03')
      return refuse(true, `${at} is starting up or shutting down: ${said}`, 'wait for it', error.code);
    if (error.code === '53300')
      return refuse(
        true,
        `${at} has no connection left: ${said}`,
        'raise max_connections, or end idle sessions',
        error.code,
      );
    if (error.code.startsWith('28')) {
      return refuse(
        false,
        `${at} refuses the login of "${settings.user}": ${said}`,
        'check user and password (POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE) and pg_hba.conf',
        error.code,
      );
    }
    if (error.code === '3D000') {
      return refuse(
        false,
        `${at} has no database "${settings.dbname}": ${said}`,
        'correct POSTGRES_DB, or create it: CREATE DATABASE',
        error.code,
      );
    }
    return refuse(
      error.code.startsWith('57') || error.code.startsWith('53'),
      `${at}: ${said}`,
      error.hint ??
        (error.code === '08P01' && settings.options
          ? 'a pooler takes no server options at login: unset PGOPTIONS, or set KASM_DB_DIRECT_URL to PostgreSQL itself'
          : 'read the server log'),
      error.code,
    );
  }
  if (isTlsRefusal(error)) {
    return refuse(
      false,
      `TLS with ${at} failed (sslmode=${settings.sslmode}): ${messageOf(error)}`,
      'check sslmode, PGSSLROOTCERT and the name in the server certificate',
    );
  }
  const code = codeOf(error);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return refuse(
      true,
      `the host name "${host.host}" is not found in DNS (${code})`,
      'correct POSTGRES_HOST, or wait until its Service exists',
    );
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return refuse(
      true,
      `${at} refuses connections (${code})`,
      'is PostgreSQL running there? check POSTGRES_HOST and POSTGRES_PORT',
    );
  }
  if (messageOf(error) === 'timeout expired') {
    return refuse(
      true,
      `${at} did not answer in time`,
      'check POSTGRES_HOST, POSTGRES_PORT, firewalls and NetworkPolicies',
    );
  }
  return refuse(
    true,
    `cannot connect to ${at}: ${messageOf(error)}`,
    'check POSTGRES_HOST, POSTGRES_PORT and the server',
  );
}

/** The login was taken, but the first query failed: so a pooler does whose server is gone, frozen or busy. */
export function unanswered(error: unknown, host: Host): Refusal {
  const sqlstate = isServerError(error) ? error.code : undefined;
  return {
    retryable: sqlstate === undefined || /^(08|53|57)/.test(sqlstate),
    ends: false,
    error: new KasmDbError('unreachable', `${hostText(host)} takes the login, but not a query: ${messageOf(error)}`, {
      hint: 'if a pooler answers there, is its server running? KASM_DB_DIRECT_URL leads around the pooler',
      cause: error,
      ...(sqlstate ? { sqlstate } : {}),
    }),
  };
}

/** A server that answers, but is not of the kind wished for; a failover may change that. */
export function wrongKind(settings: ConnectionSettings, host: Host, what: string): Refusal {
  return {
    retryable: true,
    error: new KasmDbError(
      'unreachable',
      `${hostText(host)} ${what} (target_session_attrs=${settings.targetSessionAttrs})`,
      { hint: 'list all hosts of the cluster (POSTGRES_HOST=a,b), or correct PGTARGETSESSIONATTRS' },
    ),
  };
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
  return {
    retryable: chosen.retryable,
    ends: ended !== undefined,
    error: new KasmDbError(
      'unreachable',
      ended ? reasons : `none of the ${refusals.length} hosts will do: ${reasons}`,
      {
        ...chosen.error.details,
        cause: chosen.error,
      },
    ),
  };
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return (error as NodeJS.ErrnoException)?.code;
}
