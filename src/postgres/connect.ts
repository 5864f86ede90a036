import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { KasmDbError } from '../app/errors.js';
import { jittered, now, sleep } from '../app/time.js';
import type { ConnectionSettings } from '../config/settings.js';
import { tlsAttempts } from '../config/tls.js';
import { applicationName } from './application-name.js';
import { ChannelBindingGuard } from './channel-binding.js';
import type { Client } from './client.js';
import { withDeadline } from './deadline.js';
import { passwordFor } from './password.js';
import { disconnect } from './query.js';
import { asUnreachable, combine, hostText, isTlsRefusal, type Refusal, refusal, wrongKind } from './refusal.js';
import { mismatch } from './session-attrs.js';
import { isServerError } from './sqlstate.js';
import { WireGuard } from './wire-guard.js';

export type { Client } from './client.js';

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
/** What an administrator may set with scram_iterations (4,096 by default); a server that asks for more wants to keep us busy. */
const MAX_SCRAM_ITERATIONS = 5_000_000;
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
    const result = await tryHosts(settings, now() + Math.max(left, atLeast), options);
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
  options: ConnectOptions,
): Promise<Client | Refusal> {
  if (settings.targetSessionAttrs !== 'prefer-standby') return tryEach(settings, deadline, options);
  const standby = await tryEach({ ...settings, targetSessionAttrs: 'standby' }, deadline, options);
  if (!('error' in standby)) return standby;
  return tryEach({ ...settings, targetSessionAttrs: 'any' }, deadline, options);
}

async function tryEach(
  settings: ConnectionSettings,
  deadline: number,
  options: ConnectOptions,
): Promise<Client | Refusal> {
  const refusals: Refusal[] = [];
  for (const [i, { host, port }] of settings.hosts.entries()) {
    // A host that answers nothing must leave time for those after it.
    const share = Math.max((deadline - now()) / (settings.hosts.length - i), LEAST_ATTEMPT_MS);
    const result = await tryHost(settings, host, port, share, options);
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
  { signal }: ConnectOptions,
): Promise<Client | Refusal> {
  let first: unknown;
  let unusable: unknown;
  for (const tls of tlsAttempts(settings, host)) {
    const progress = { handshake: false };
    try {
      const options = tls === false ? false : tls();
      const client = await attempt(settings, host, port, options, Math.min(left, ATTEMPT_MS), progress, signal);
      const wrong = await isWrongKind(client, settings, Math.min(left, ATTEMPT_MS), signal);
      return wrong === undefined ? client : wrongKind(settings, host, port, wrong);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof KasmDbError && error.outcome === 'usage') {
        if (settings.sslmode !== 'prefer') throw error;
        // As in libpq: certificates that cannot be used only matter to `prefer` where the server insists on TLS.
        unusable = error;
        continue;
      }
      if (first === undefined || isTlsRefusal(first)) first = error;
      // The other kind of attempt only helps where this one was refused for its kind; a certificate of ours that the server refuses
      // after its own handshake is not (libpq 15 neither falls back then).
      if (isServerError(error) ? !error.code.startsWith('28') : !isTlsRefusal(error) || progress.handshake) break;
    }
  }
  if (unusable !== undefined && isServerError(first) && first.code.startsWith('28')) throw unusable;
  return refusal(first, settings, host, port);
}

/** Ends the connection where it is the wrong one. */
async function isWrongKind(
  client: Client,
  settings: ConnectionSettings,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  let wrong: string | undefined = 'was not asked';
  try {
    const wish = settings.targetSessionAttrs;
    wrong = await withDeadline(client, timeoutMs, () => mismatch(client, wish), { signal });
    return wrong;
  } finally {
    if (wrong !== undefined) void disconnect(client);
  }
}

function attempt(
  settings: ConnectionSettings,
  host: string,
  port: number,
  tls: ConnectionOptions | false,
  timeoutMs: number,
  progress: { handshake: boolean },
  signal?: AbortSignal,
): Promise<Client> {
  const binding = new ChannelBindingGuard(settings, host, port, tls !== false);
  const client = new pg.Client({
    host,
    port,
    user: settings.user,
    database: settings.dbname,
    password: () => {
      binding.beforePassword();
      return passwordFor(settings, host, port);
    },
    ssl: tls,
    sslnegotiation: 'postgres',
    // pg then takes SCRAM-SHA-256-PLUS where it is offered, and says so where it is not, as libpq does: nobody can talk us down.
    enableChannelBinding: tls !== false && settings.channelBinding !== 'disable',
    scramMaxIterations: MAX_SCRAM_ITERATIONS,
    application_name: applicationName(),
    ...(settings.options ? { options: settings.options } : {}),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: timeoutMs,
  } as pg.ClientConfig) as Client;
  client.announced = {};
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter & { stream: NodeJS.EventEmitter } };
  client.wire = new WireGuard(connection, hostText(host, port));
  binding.watch(connection);
  connection.on('sslconnect', () =>
    connection.stream.once('secureConnect', () => {
      progress.handshake = true;
    }),
  );
  connection.on('parameterStatus', (message) => {
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
        try {
          binding.afterLogin();
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
