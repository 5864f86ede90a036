import pg from 'pg';
import type { ChannelBinding, ConnectionSettings } from '../config/settings.js';
import { type TlsAttempt, tlsAttempts } from '../config/tls.js';
import { isKasmDbError, KasmDbError, messageOf } from '../errors.js';
import { jittered, now, sleep } from '../time.js';
import { applicationName } from './application-name.js';
import { isServerError } from './sqlstate.js';

export type Client = pg.Client & {
  processID: number | null;
  /** server_version_num, as the server announced it at login (a pooler passes it on). */
  announcedVersion?: number;
};

export interface ConnectOptions {
  /** Stops the attempt and its retries. */
  signal?: AbortSignal | undefined;
  /** Told once per kind of failure that is retried. */
  onRetry?: ((reason: KasmDbError) => void) | undefined;
  /** One attempt only, without retry (the gate has its own rhythm). */
  once?: boolean | undefined;
}

/** What may be wrong with one attempt, and whether a later one may succeed. */
interface Refusal {
  error: KasmDbError;
  heals: boolean;
}

/** A single attempt never waits longer than this for a host that answers nothing. */
const ATTEMPT_MS = 10_000;
/** The last attempt before connectTimeoutMs is over gets at least this, or it would hide what the earlier ones were told. */
const LAST_ATTEMPT_MS = 1000;

/**
 * Logs in, trying every host and every TLS attempt of the sslmode, again and again until `connectTimeoutMs` is over where that may help.
 * @param resolve gives the settings; called for each attempt, since a mounted Secret may change meanwhile
 * @throws KasmDbError unreachable (it may heal), environment (it won't), usage
 */
export async function connect(resolve: () => ConnectionSettings, options: ConnectOptions = {}): Promise<Client> {
  const started = now();
  let reported = '';
  for (let tries = 0; ; tries++) {
    options.signal?.throwIfAborted();
    const settings = resolve();
    const left = settings.connectTimeoutMs - (now() - started);
    const result = await tryHosts(
      settings,
      Math.max(left, Math.min(settings.connectTimeoutMs, LAST_ATTEMPT_MS)),
      options.signal,
    );
    if (!('error' in result)) return result;
    const pause = jittered(Math.min(100 * 2 ** tries, 2000));
    if (!result.heals || options.once || now() - started + pause > settings.connectTimeoutMs) {
      throw result.error;
    }
    if (reported !== result.error.message) {
      reported = result.error.message;
      options.onRetry?.(result.error);
    }
    await sleep(pause, options.signal);
  }
}

async function tryHosts(settings: ConnectionSettings, left: number, signal?: AbortSignal): Promise<Client | Refusal> {
  let last: Refusal | undefined;
  for (const { host, port } of settings.hosts) {
    const result = await tryHost(settings, host, port, left, signal);
    if (!('error' in result)) return result;
    // A host that may come back must not be hidden by one that never will.
    if (!last || result.heals || !last.heals) last = result;
  }
  return last as Refusal;
}

async function tryHost(
  settings: ConnectionSettings,
  host: string,
  port: number,
  left: number,
  signal?: AbortSignal,
): Promise<Client | Refusal> {
  const attempts = tlsAttempts(settings, host);
  let first: unknown;
  for (const tls of attempts) {
    try {
      return await attempt(settings, host, port, tls, Math.min(left, ATTEMPT_MS), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (isKasmDbError(error)) throw error;
      if (first === undefined || isTlsRefusal(first)) first = error;
      // The other kind of attempt only helps where this one was refused for its kind.
      if (isServerError(error) ? !error.code.startsWith('28') : !isTlsRefusal(error)) break;
    }
  }
  return refusal(first, settings, host, port);
}

function attempt(
  settings: ConnectionSettings,
  host: string,
  port: number,
  tls: TlsAttempt,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Client> {
  const client = new pg.Client({
    host,
    port,
    user: settings.user,
    database: settings.dbname,
    password: () => passwordFor(settings, host, port),
    ssl: tls,
    enableChannelBinding: tls !== false && settings.channelBinding !== ('disable' satisfies ChannelBinding),
    application_name: applicationName(),
    ...(settings.options ? { options: settings.options } : {}),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: timeoutMs,
  } as pg.ClientConfig) as Client;
  (client as unknown as { connection: NodeJS.EventEmitter }).connection.on('parameterStatus', (message) => {
    if (message.parameterName !== 'server_version') return;
    const [major = 0, minor = 0] = String(message.parameterValue)
      .split(/[^0-9]+/)
      .map(Number);
    client.announcedVersion = major * 10_000 + minor;
  });
  // Without a listener an error on an idle connection ends the process (TRAPS 21); the next query reports it.
  client.on('error', () => {});
  return new Promise<Client>((resolve, reject) => {
    const abort = () => {
      void client.end().catch(() => {});
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    client.connect().then(
      () => {
        signal?.removeEventListener('abort', abort);
        resolve(client);
      },
      (error) => {
        signal?.removeEventListener('abort', abort);
        void client.end().catch(() => {});
        reject(error);
      },
    );
  });
}

async function passwordFor(settings: ConnectionSettings, host: string, port: number): Promise<string> {
  if (settings.password !== undefined) return settings.password;
  const found = await fromPassfile(settings, host, port);
  if (found !== undefined) return found;
  throw new KasmDbError('unreachable', `${host}:${port} asks for a password, and none is set`, {
    hint: 'set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE',
  });
}

async function fromPassfile(settings: ConnectionSettings, host: string, port: number): Promise<string | undefined> {
  const { default: pgpass } = await import('pgpass');
  // pgpass reads the variable only, at the moment of the call.
  const before = process.env.PGPASSFILE;
  if (settings.passfile) process.env.PGPASSFILE = settings.passfile;
  try {
    return await new Promise((resolve) =>
      pgpass({ host, port, database: settings.dbname, user: settings.user }, resolve),
    );
  } finally {
    if (before === undefined) delete process.env.PGPASSFILE;
    else process.env.PGPASSFILE = before;
  }
}

function isTlsRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return (
    /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/.test(code) ||
    // pg has no code for these two.
    /SSL connection/.test(error.message)
  );
}

function refusal(error: unknown, settings: ConnectionSettings, host: string, port: number): Refusal {
  const at = host.startsWith('/') ? `${host} (port ${port})` : `${host}:${port}`;
  const refuse = (heals: boolean, message: string, hint: string, sqlstate?: string): Refusal => ({
    heals,
    error: new KasmDbError('unreachable', message, { hint, cause: error, ...(sqlstate ? { sqlstate } : {}) }),
  });
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
      error.hint ?? 'read the server log',
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
      `the host name "${host}" is not found in DNS (${code})`,
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

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return (error as NodeJS.ErrnoException)?.code;
}
