import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { KasmDbError } from '../app/errors.js';
import { keepSecret } from '../app/secrets.js';
import { within } from '../app/time.js';
import { type Host, isSocket } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { Authentication } from './authentication.js';
import { type Client, REPORTED } from './client.js';
import { destroy } from './query.js';
import { hostText, TIME_IS_UP } from './refusal.js';
import { prepareAsLibpq } from './scram-proof.js';
import { isServerError } from './server-error.js';
import { applicationName } from './session-settings.js';
import { foreignSocket } from './socket-owner.js';
import { WireGuard } from './wire-guard.js';

/** What an administrator may set with scram_iterations (4,096 by default); a server that asks for more wants to keep us busy. */
const MAX_SCRAM_ITERATIONS = 5_000_000;

/** One of a host's addresses. */
export interface Target extends Host {
  /** An IP address, or a folder of Unix sockets. */
  address: string;
}

/** How far an attempt came. */
export interface Progress {
  /** TLS stands. */
  handshake: boolean;
  /** What was answered to the request for TLS, where that is not of the protocol. */
  answer?: string;
}

export interface LoginOptions {
  tls: ConnectionOptions | false;
  timeoutMs: number;
  /** Is told how far it comes. */
  progress: Progress;
  signal: AbortSignal | undefined;
}

/** Makes one connection and logs in. @throws the driver's errors; KasmDbError unreachable; the signal's reason */
export async function logIn(
  settings: ConnectionSettings,
  target: Target,
  { tls, timeoutMs, progress, signal }: LoginOptions,
): Promise<Client> {
  const client = newClient(settings, target, tls, () => {
    authentication.beforePassword();
    return passwordFor(settings, target);
  });
  const { connection } = client;
  client.wire = new WireGuard(connection, hostText(target));
  const authentication = new Authentication(settings, target, tls !== false, connection);
  prepareAsLibpq(client);
  if (isSocket(target) && settings.requirePeer) requireOwner(client, target, settings.requirePeer);
  watchTls(client, tls !== false && !settings.sslDirect, progress);
  connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    const name = REPORTED.find((reported) => reported === parameterName);
    if (name) client.reported[name] = String(parameterValue);
  });
  // Without a listener an error on an idle connection ends the process; the next query reports it.
  client.on('error', (error) => {
    if (isServerError(error)) client.lastWords ??= error;
  });
  const late = () => {
    destroy(client);
    return new Error(TIME_IS_UP);
  };
  try {
    await within(timeoutMs, client.connect(), late, signal);
    authentication.afterLogin();
  } catch (error) {
    void client.end().catch(() => {});
    throw error;
  }
  // What messages and results name is what the user named.
  client.host = target.host || target.address;
  return client;
}

/** The driver's client, which reads nothing of the environment: pg does so by rules of its own. */
function newClient(
  settings: ConnectionSettings,
  target: Target,
  tls: ConnectionOptions | false,
  password: () => Promise<string>,
): Client {
  const client = new pg.Client({
    host: target.address,
    port: target.port,
    user: settings.user,
    database: settings.dbname,
    password,
    ssl: tls,
    sslnegotiation: tls !== false && settings.sslDirect ? 'direct' : 'postgres',
    // pg then takes SCRAM-SHA-256-PLUS where it is offered, and says so where it is not, as libpq does: nobody can talk us down.
    enableChannelBinding: tls !== false && settings.channelBinding !== 'disable',
    scramMaxIterations: MAX_SCRAM_ITERATIONS,
    application_name: applicationName(),
    keepAlive: settings.keepaliveSeconds !== undefined,
    keepAliveInitialDelayMillis: (settings.keepaliveSeconds ?? 0) * 1000,
  } as pg.ClientConfig) as Client;
  client.reported = {};
  client.address = target.address;
  Object.assign((client as unknown as { connectionParameters: object }).connectionParameters, {
    options: settings.options,
    replication: undefined,
    client_encoding: undefined,
  });
  return client;
}

/**
 * The password for one host: the one that is set, else the one that the pass file has for this host.
 * @throws KasmDbError unreachable when there is none
 */
async function passwordFor(settings: ConnectionSettings, target: Target): Promise<string> {
  const { password, passfile, dbname, user } = settings;
  if (password !== undefined) return password;
  const { passwordFromFile } = await import('../config/pass-file.js');
  const host = target.host || (target.hostaddr as string);
  const found = passfile === undefined ? {} : passwordFromFile(passfile, { host, port: target.port, dbname, user });
  if (found.password) return keepSecret(found.password);
  throw new KasmDbError('unreachable', `${hostText(target)} asks for a password, and none is set`, {
    hint: `set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE${found.ignored ? `; ${passfile} is ignored: ${found.ignored}` : ''}`,
  });
}

/** Tells how far the encryption comes. @param asks the server is asked for it first */
function watchTls({ connection }: Client, asks: boolean, progress: Progress): void {
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

/**
 * Before the socket is opened, and again before anything is sent: nobody may put another one in its place meanwhile.
 * @throws KasmDbError unreachable
 */
function requireOwner({ connection }: Client, target: Target, account: string): void {
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
    if (after) connection.stream.destroy(after);
  });
}
