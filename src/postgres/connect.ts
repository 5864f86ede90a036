import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { KasmDbError } from '../app/errors.js';
import { backoff, retry } from '../app/retry.js';
import { now, sleep } from '../app/time.js';
import { type Host, isSocket } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { tlsAttempts } from '../config/tls.js';
import { addressesOf } from './addresses.js';
import { applicationName } from './application-name.js';
import { Authentication, type DriverConnection } from './authentication.js';
import type { Client } from './client.js';
import { withDeadline } from './deadline.js';
import { passwordFor } from './password.js';
import { disconnect } from './query.js';
import { combine, hostText, isTlsRefusal, type Refusal, refusal, unanswered, wrongKind } from './refusal.js';
import { prepareAsLibpq } from './scram-proof.js';
import { isServerError } from './server-error.js';
import { mismatch } from './session-attrs.js';
import { foreignSocket } from './socket-owner.js';
import { WireGuard } from './wire-guard.js';

export interface ConnectOptions {
  /** Stops the attempt and its retries. */
  signal?: AbortSignal | undefined;
  /** Told once per kind of failure that is retried. */
  onRetry?: ((reason: KasmDbError) => void) | undefined;
  /** One attempt only, without retry (the gate has its own rhythm). */
  once?: boolean | undefined;
}

const RETRY = { firstMs: 100, maxMs: 2000 };
/** A single attempt never waits longer than this for a host that answers nothing. */
const ATTEMPT_MS = 10_000;
/** The last attempt before connectTimeoutMs is over gets at least this, or it would hide what the earlier ones were told. */
const LAST_ATTEMPT_MS = 1000;
/** What an administrator may set with scram_iterations (4,096 by default); a server that asks for more wants to keep us busy. */
const MAX_SCRAM_ITERATIONS = 5_000_000;
/** No host of a list gets less, however little is left. */
const LEAST_ATTEMPT_MS = 250;

/**
 * Logs in, trying every host and every TLS attempt of the sslmode, again and again until `connectTimeoutMs` is over where that may help.
 * As in libpq, a host that answers but refuses TLS or the login ends the list: nobody behind it gets the password.
 * @param resolve gives the settings; called for each attempt, since a mounted Secret may change meanwhile
 * @throws KasmDbError unreachable (a later attempt may succeed), environment, usage
 */
export async function connect(resolve: () => ConnectionSettings, options: ConnectOptions = {}): Promise<Client> {
  let settings = resolve();
  const deadline = now() + settings.connectTimeoutMs;
  let retryable = false;
  let reported = '';
  let refused: KasmDbError | undefined;
  const attempt = async (attempts: number) => {
    retryable = false;
    if (attempts > 0) settings = resolve();
    const atLeast = Math.min(settings.connectTimeoutMs, LAST_ATTEMPT_MS);
    const result = await tryHosts(settings, Math.max(deadline, now() + atLeast), options);
    if (!('error' in result)) return result;
    retryable = result.retryable && !options.once;
    if (result.silent && refused && now() >= deadline) throw refused;
    if (!result.silent) refused = result.error;
    throw result.error;
  };
  return retry(attempt, {
    deadline,
    backoff: backoff(RETRY),
    retryable: () => retryable,
    onRetry: (error) => {
      const { message } = error as KasmDbError;
      if (message !== reported) options.onRetry?.(error as KasmDbError);
      reported = message;
    },
    signal: options.signal,
  });
}

async function tryHosts(
  settings: ConnectionSettings,
  deadline: number,
  options: ConnectOptions,
): Promise<Client | Refusal> {
  if (settings.targetSessionAttrs !== 'prefer-standby') return tryEach(settings, deadline, options);
  const standby = await tryEach({ ...settings, targetSessionAttrs: 'standby' }, deadline, options);
  if (!('error' in standby) || standby.ends) return standby;
  return tryEach({ ...settings, targetSessionAttrs: 'any' }, deadline, options);
}

async function tryEach(
  settings: ConnectionSettings,
  deadline: number,
  options: ConnectOptions,
): Promise<Client | Refusal> {
  const refusals: Refusal[] = [];
  const hosts = settings.loadBalance ? shuffled(settings.hosts) : settings.hosts;
  for (const [i, host] of hosts.entries()) {
    // A host that answers nothing must leave time for those after it.
    const share = Math.max((deadline - now()) / (hosts.length - i), LEAST_ATTEMPT_MS);
    const result = await tryHost(settings, host, now() + share, options);
    if (!('error' in result)) return result;
    refusals.push(result);
    if (result.ends) break;
  }
  return combine(refusals);
}

/** Tries each address of a host. */
async function tryHost(
  settings: ConnectionSettings,
  host: Host,
  deadline: number,
  options: ConnectOptions,
): Promise<Client | Refusal> {
  let addresses: string[];
  try {
    addresses = await within(deadline, addressesOf(host), options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    return refusal(error, settings, host);
  }
  if (settings.loadBalance) addresses = shuffled(addresses);
  let result: Client | Refusal | undefined;
  for (const [i, address] of addresses.entries()) {
    const share = Math.max((deadline - now()) / (addresses.length - i), LEAST_ATTEMPT_MS);
    result = await tryAddress(settings, { ...host, address }, Math.min(share, ATTEMPT_MS), options);
    if (!('error' in result) || result.ends) return result;
  }
  return result ?? refusal(new Error('it has no address'), settings, host);
}

/** Tries each kind of encryption that the sslmode allows. */
async function tryAddress(
  settings: ConnectionSettings,
  target: Target,
  timeoutMs: number,
  { signal }: ConnectOptions,
): Promise<Client | Refusal> {
  let first: unknown;
  let unusable: unknown;
  for (const tls of tlsAttempts(settings, target)) {
    const progress: Progress = { handshake: false };
    try {
      const options = tls === false ? false : tls();
      const client = await attempt(settings, target, { tls: options, timeoutMs, progress, signal });
      return await requireServer(client, settings, target, { timeoutMs, signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof KasmDbError && error.outcome === 'usage') {
        if (settings.sslmode !== 'prefer') throw error;
        // As in libpq: certificates that cannot be used only matter to `prefer` where the server insists on TLS.
        unusable = error;
        continue;
      }
      if (progress.answer !== undefined) return refusal(noPostgres(progress.answer, target), settings, target);
      if (first === undefined || isTlsRefusal(first)) first = error;
      // The other kind of attempt only helps where this one was refused for its kind; a certificate of ours that the server refuses
      // after its own handshake is not (libpq 15 neither falls back then).
      if (isServerError(error) ? !error.code.startsWith('28') : !isTlsRefusal(error) || progress.handshake) break;
    }
  }
  if (unusable !== undefined && isServerError(first) && first.code.startsWith('28')) throw unusable;
  return refusal(first, settings, target);
}

/**
 * The first answer of the server itself, and whether it is of the kind that is wished for. A pooler takes a login without any server behind it, so
 * a first query that fails is a refused login too. What is refused is disconnected.
 */
async function requireServer(
  client: Client,
  settings: ConnectionSettings,
  target: Target,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Client | Refusal> {
  const ask = async () => {
    await client.query('SELECT 1').catch((error) => {
      if (!refusesIsolation(error)) throw error;
    });
    return mismatch(client, settings.targetSessionAttrs);
  };
  try {
    const wrong = await withDeadline(client, timeoutMs, ask, { signal });
    if (wrong === undefined) return client;
    void disconnect(client);
    return wrongKind(settings, target, wrong);
  } catch (error) {
    void disconnect(client);
    signal?.throwIfAborted();
    return unanswered(error, target);
  }
}

/** PostgreSQL itself, a standby, refuses what role or database have set (serializable); each transaction of ours sets its own. */
function refusesIsolation(error: unknown): boolean {
  return isServerError(error) && error.code === '0A000' && error.routine !== undefined;
}

/** One of a host's addresses. */
interface Target extends Host {
  /** An IP address, or a folder of Unix sockets. */
  address: string;
}

/** How far an attempt came. */
interface Progress {
  /** TLS stands. */
  handshake: boolean;
  /** What was answered to the request for TLS, where that is not of the protocol. */
  answer?: string;
}

function attempt(
  settings: ConnectionSettings,
  target: Target,
  {
    tls,
    timeoutMs,
    progress,
    signal,
  }: {
    tls: ConnectionOptions | false;
    timeoutMs: number;
    progress: Progress;
    signal?: AbortSignal | undefined;
  },
): Promise<Client> {
  const client = new pg.Client({
    host: target.address,
    port: target.port,
    user: settings.user,
    database: settings.dbname,
    password: () => {
      authentication.beforePassword();
      return passwordFor(settings, target);
    },
    ssl: tls,
    sslnegotiation: tls !== false && settings.sslDirect ? 'direct' : 'postgres',
    // pg then takes SCRAM-SHA-256-PLUS where it is offered, and says so where it is not, as libpq does: nobody can talk us down.
    enableChannelBinding: tls !== false && settings.channelBinding !== 'disable',
    scramMaxIterations: MAX_SCRAM_ITERATIONS,
    application_name: applicationName(),
    keepAlive: settings.keepaliveSeconds !== undefined,
    keepAliveInitialDelayMillis: (settings.keepaliveSeconds ?? 0) * 1000,
    connectionTimeoutMillis: timeoutMs,
  } as pg.ClientConfig) as Client;
  client.announced = {};
  client.address = target.address;
  const driver = client as unknown as Driver;
  // pg reads the environment by rules of its own.
  Object.assign(driver.connectionParameters, {
    options: settings.options,
    replication: undefined,
    client_encoding: undefined,
  });
  const { connection } = driver;
  client.wire = new WireGuard(connection, hostText(target));
  const authentication = new Authentication(settings, target, tls !== false, connection);
  prepareAsLibpq(client);
  if (isSocket(target) && settings.requirePeer) requireOwner(connection, target, settings.requirePeer);
  watchTls(connection, tls !== false && !settings.sslDirect, progress);
  connection.on('parameterStatus', (message) => {
    const value = String(message.parameterValue);
    if (message.parameterName === 'server_encoding') client.announcedEncoding = value;
    if (message.parameterName === 'in_hot_standby') client.announced.inHotStandby = value === 'on';
    if (message.parameterName === 'default_transaction_read_only') client.announced.readOnly = value === 'on';
    if (message.parameterName !== 'server_version') return;
    const [major = 0, minor = 0] = value.split(/[^0-9]+/).map(Number);
    client.announcedVersion = major * 10_000 + minor;
  });
  // Without a listener an error on an idle connection ends the process; the next query reports it.
  client.on('error', (error) => {
    if (isServerError(error)) client.lastWords ??= error;
  });
  return new Promise<Client>((resolve, reject) => {
    const abort = () => {
      void client.end().catch(() => {});
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    client.connect().then(
      () => {
        signal?.removeEventListener('abort', abort);
        try {
          authentication.afterLogin();
          // What messages and results name is what the user named.
          client.host = target.host || target.address;
          resolve(client);
        } catch (error) {
          void client.end().catch(() => {});
          reject(error);
        }
      },
      (error) => {
        signal?.removeEventListener('abort', abort);
        void client.end().catch(() => {});
        reject(error);
      },
    );
  });
}

/** What of pg has no types. */
interface Driver {
  connection: DriverConnection;
  connectionParameters: Record<string, unknown>;
}

function watchTls(connection: DriverConnection, asks: boolean, progress: Progress): void {
  if (asks)
    connection.stream.once('data', (answer: Buffer) => {
      if (!'SNE'.includes(String.fromCharCode(answer[0] as number))) progress.answer = answer.toString('latin1');
    });
  connection.on('sslconnect', () =>
    connection.stream.once('secureConnect', () => {
      progress.handshake = true;
    }),
  );
}

function noPostgres(answer: string, target: Target): KasmDbError {
  const what = answer.startsWith('HTTP/') ? 'HTTP' : 'something else';
  return new KasmDbError('unreachable', `${hostText(target)} speaks ${what}, not PostgreSQL`, {
    hint: 'check POSTGRES_HOST and POSTGRES_PORT',
  });
}

/**
 * Before the socket is opened, and again before anything is sent: nobody may put another one in its place meanwhile.
 * @throws KasmDbError unreachable
 */
function requireOwner(connection: DriverConnection, target: Target, account: string): void {
  const path = `${target.address}/.s.PGSQL.${target.port}`;
  const wrong = () => {
    const what = foreignSocket(path, account);
    const hint = 'correct PGREQUIREPEER, or find out who listens there';
    return what && new KasmDbError('unreachable', `${path} ${what} (requirepeer=${account})`, { hint });
  };
  const before = wrong();
  if (before) throw before;
  connection.on('connect', () => {
    const after = wrong();
    if (after) connection.stream.destroy?.(after);
  });
}

function shuffled<T>(items: readonly T[]): T[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j] as T, mixed[i] as T];
  }
  return mixed;
}

/** A name server may answer nothing, too. */
async function within<T>(deadline: number, work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const late = sleep(Math.max(deadline - now(), 0), either).then(() => Promise.reject(new Error('timeout expired')));
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
    late.catch(() => {});
  }
}
