import pg from 'pg';
import type { ChannelBinding, ConnectionSettings } from '../config/settings.js';
import { type TlsAttempt, tlsAttempts } from '../config/tls.js';
import { isKasmDbError, KasmDbError } from '../errors.js';
import { jittered, now, sleep } from '../time.js';
import { applicationName } from './application-name.js';
import { disconnect } from './query.js';
import { asUnreachable, combine, isTlsRefusal, type Refusal, refusal, wrongKind } from './refusal.js';
import { type Announced, mismatch } from './session-attrs.js';
import { isServerError } from './sqlstate.js';

export type Client = pg.Client & {
  processID: number | null;
  /** server_version_num, as the server announced it at login (a pooler passes it on). */
  announcedVersion?: number;
  announced: Announced;
};

export interface ConnectOptions {
  /** Stops the attempt and its retries. */
  signal?: AbortSignal | undefined;
  /** Told once per kind of failure that is retried. */
  onRetry?: ((reason: KasmDbError) => void) | undefined;
  /** One attempt only, without retry (the gate has its own rhythm). */
  once?: boolean | undefined;
}

/** A single attempt never waits longer than this for a host that answers nothing. */
const ATTEMPT_MS = 10_000;
/** The last attempt before connectTimeoutMs is over gets at least this, or it would hide what the earlier ones were told. */
const LAST_ATTEMPT_MS = 1000;
/** No host of a list gets less, however little is left. */
const LEAST_ATTEMPT_MS = 250;

/**
 * Logs in, trying every host and every TLS attempt of the sslmode, again and again until `connectTimeoutMs` is over where that may help.
 * Unlike libpq, a host that refuses the login does not end the list: the one that is wished for may stand behind it.
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
    const atLeast = Math.min(settings.connectTimeoutMs, LAST_ATTEMPT_MS);
    const result = await tryHosts(settings, now() + Math.max(left, atLeast), options.signal);
    if (!('error' in result)) return result;
    const pause = jittered(Math.min(100 * 2 ** tries, 2000));
    if (options.once) throw asUnreachable(result.error);
    if (!result.heals || now() - started + pause > settings.connectTimeoutMs) throw result.error;
    if (reported !== result.error.message) {
      reported = result.error.message;
      options.onRetry?.(result.error);
    }
    await sleep(pause, options.signal);
  }
}

async function tryHosts(
  settings: ConnectionSettings,
  deadline: number,
  signal?: AbortSignal,
): Promise<Client | Refusal> {
  if (settings.targetSessionAttrs !== 'prefer-standby') return tryEach(settings, deadline, signal);
  const standby = await tryEach({ ...settings, targetSessionAttrs: 'standby' }, deadline, signal);
  if (!('error' in standby)) return standby;
  return tryEach({ ...settings, targetSessionAttrs: 'any' }, deadline, signal);
}

async function tryEach(
  settings: ConnectionSettings,
  deadline: number,
  signal?: AbortSignal,
): Promise<Client | Refusal> {
  const refusals: Refusal[] = [];
  for (const [i, { host, port }] of settings.hosts.entries()) {
    // A host that answers nothing must leave time for those after it.
    const share = Math.max((deadline - now()) / (settings.hosts.length - i), LEAST_ATTEMPT_MS);
    const result = await tryHost(settings, host, port, share, signal);
    if (!('error' in result)) return result;
    refusals.push(result);
  }
  return combine(refusals);
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
      const client = await attempt(settings, host, port, tls, Math.min(left, ATTEMPT_MS), signal);
      const wrong = await isWrongKind(client, settings, signal);
      return wrong === undefined ? client : wrongKind(settings, host, port, wrong);
    } catch (error) {
      signal?.throwIfAborted();
      if (isKasmDbError(error) && error.outcome === 'usage') throw error;
      if (first === undefined || isTlsRefusal(first)) first = error;
      // The other kind of attempt only helps where this one was refused for its kind.
      if (isServerError(error) ? !error.code.startsWith('28') : !isTlsRefusal(error)) break;
    }
  }
  return refusal(first, settings, host, port);
}

/** Ends the connection where it is the wrong one. */
async function isWrongKind(
  client: Client,
  settings: ConnectionSettings,
  signal?: AbortSignal,
): Promise<string | undefined> {
  let wrong: string | undefined = 'was not asked';
  try {
    wrong = await mismatch(client, settings.targetSessionAttrs);
    signal?.throwIfAborted();
    return wrong;
  } finally {
    if (wrong !== undefined) void disconnect(client);
  }
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
  client.announced = {};
  (client as unknown as { connection: NodeJS.EventEmitter }).connection.on('parameterStatus', (message) => {
    const value = String(message.parameterValue);
    if (message.parameterName === 'in_hot_standby') client.announced.inHotStandby = value === 'on';
    if (message.parameterName === 'default_transaction_read_only') client.announced.readOnly = value === 'on';
    if (message.parameterName !== 'server_version') return;
    const [major = 0, minor = 0] = value.split(/[^0-9]+/).map(Number);
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
