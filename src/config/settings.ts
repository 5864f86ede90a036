import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { keepSecret } from '../app/secrets.js';
import { accountOf, homeFile } from './account.js';
import { type RequiredMethods, requiredMethods } from './authentication-methods.js';
import { parseDuration } from './duration.js';
import { type Host, pairHosts } from './hosts.js';
import { PARAMETERS, type SslMode, type TargetSessionAttrs } from './parameters.js';
import { type ConnectionFlags, findPlaces } from './places.js';
import {
  certificateMode,
  type ProtocolVersions,
  protocolVersions,
  type SslCertMode,
  sslDirect,
  sslMode,
} from './tls-settings.js';
import { LARGEST_INTEGER, Values } from './values.js';
import { type Environment, isServiceLink, readSecretFile, readVariable } from './variables.js';

export type { Environment } from './variables.js';

/** The message where nothing names a database. */
export const NO_DATABASE = 'no database is given';

/** Everything needed to log in, each value from the first place that set it. */
export interface ConnectionSettings extends ProtocolVersions {
  /** Tried in order. */
  hosts: Host[];
  loadBalance: boolean;
  dbname: string;
  user: string;
  /** undefined: none is set (the server may still let us in, or the pass file may know it). */
  password: string | undefined;
  /** undefined: there is no home folder to look in. */
  passfile: string | undefined;
  requireAuth: RequiredMethods | undefined;
  channelBinding: 'disable' | 'prefer' | 'require';
  /** Account that must own a Unix socket. */
  requirePeer: string | undefined;
  sslmode: SslMode;
  sslDirect: boolean;
  sslSni: boolean;
  /** Of the home folder, as the next three, where nothing else is set and it is there. */
  sslrootcert: string | undefined;
  sslcert: string | undefined;
  sslkey: string | undefined;
  sslcrl: string | undefined;
  sslcrldir: string | undefined;
  /** Of an encrypted sslkey. */
  sslpassword: string | undefined;
  sslcertmode: SslCertMode;
  targetSessionAttrs: TargetSessionAttrs;
  /** Server options, as in PGOPTIONS. */
  options: string | undefined;
  /** Seconds of silence before the first probe; undefined: no keepalives. */
  keepaliveSeconds: number | undefined;
  /** Role taken on in every transaction (SET ROLE). */
  role: string | undefined;
  /** How long the whole attempt to connect may take, in milliseconds. */
  connectTimeoutMs: number;
  /** Where each value came from, by keyword: `host` → `POSTGRES_HOST`. */
  sources: Record<string, string>;
  /** Places whose value does not count, since a stronger one has it, by keyword: `host` → `PGHOST`. */
  hidden: Record<string, string[]>;
  /** What was set, by keyword; no secrets. */
  given: Record<string, string>;
  /** Two places that say different things of where a connection goes: both are named, and which one counts. */
  contradictions: string[];
  /** What was ignored and why, for `doctor`. */
  notes: string[];
}

/** 10 s: long enough for a server that is just restarting its listener, short enough for a person who waits. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_KEEPALIVE_SECONDS = 10;

/** Gives the connection settings as they were found. @param anew find them again: a mounted Secret may have changed since */
export type Resolve = (anew?: boolean) => ConnectionSettings;

/** The settings of a run: found once, and again by who connects anew. @throws KasmDbError usage, at each call */
export function settingsOf(flags: ConnectionFlags, env: Environment, options: { direct: boolean }): Resolve {
  let found: ConnectionSettings | undefined;
  return (anew = false) => {
    if (anew || !found) found = resolveSettings(flags, env, options);
    return found;
  };
}

/**
 * Finds every connection setting: per value, the first of flag, KASM_DB_URL, DATABASE_URL, POSTGRES_*, a libpq service, PG*.
 * @param options.direct use the direct URL where one is set (commands that write)
 * @throws KasmDbError usage, naming the setting
 */
export function resolveSettings(
  flags: ConnectionFlags,
  env: Environment,
  { direct }: { direct: boolean },
): ConnectionSettings {
  const found = new Values(findPlaces(flags, env, direct));
  const host = found.text('host');
  const hostaddr = found.text('hostaddr');
  const login = found.text('user');
  const named = found.text('dbname');
  if (!host && !hostaddr && !named && !login) {
    throw new KasmDbError('usage', NO_DATABASE, {
      hint: 'set KASM_DB_URL, or POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD (each also as NAME_FILE), or use --host, --dbname and --user; --embedded starts a private PostgreSQL',
    });
  }
  const user = requireName('user', login || accountName(), found.sources.user);
  const dbname = requireName('dbname', named || user, found.sources.dbname);
  const role = flags.role ? { value: flags.role, source: '--role' } : readVariable(env, 'KASM_DB_ROLE');
  const hosts = pairHosts({ host, hostaddr, port: found.text('port') }, found.sources);
  const sslmode = sslMode(found);
  const inHome = (name: string) => {
    const path = homeFile(env, '.postgresql', name);
    return path && existsSync(path) ? path : undefined;
  };
  const sslcrldir = found.text('sslcrldir');
  return {
    hosts,
    loadBalance: found.text('load_balance_hosts') === 'random',
    dbname,
    user,
    password: keepSecret(found.text('password') ?? mountedPassword(flags.secrets ?? env.KASM_DB_SECRETS_DIR, found)),
    passfile: found.text('passfile') ?? homeFile(env, '.pgpass'),
    requireAuth: requiredMethods(found.given.require_auth, found.sources.require_auth),
    channelBinding: (found.text('channel_binding') ?? 'prefer') as ConnectionSettings['channelBinding'],
    requirePeer: found.text('requirepeer'),
    sslmode,
    sslDirect: sslDirect(found, sslmode),
    sslSni: (found.given.sslsni ?? '1').startsWith('1'),
    sslrootcert: found.text('sslrootcert') ?? inHome('root.crt'),
    sslcert: found.text('sslcert') ?? inHome('postgresql.crt'),
    sslkey: found.text('sslkey') ?? inHome('postgresql.key'),
    sslcrl: found.text('sslcrl') ?? (sslcrldir ? undefined : inHome('root.crl')),
    sslcrldir,
    sslpassword: keepSecret(found.text('sslpassword')),
    sslcertmode: certificateMode(found),
    ...protocolVersions(found),
    targetSessionAttrs: wishedServer(found, hosts.length, direct),
    options: found.text('options'),
    keepaliveSeconds: keepaliveSeconds(found),
    role: role && requireName('role', role.value, role.source),
    connectTimeoutMs: connectTimeout(found, flags.connectTimeout),
    sources: found.sources,
    hidden: found.hidden,
    given: found.given,
    contradictions: found.contradictions,
    notes: serviceLinks(env),
  };
}

function accountName(): string {
  const account = accountOf();
  if (account) return account.name;
  throw new KasmDbError('usage', `no user is given, and the process's uid ${process.geteuid?.()} has no account`, {
    hint: 'set POSTGRES_USER',
  });
}

/** A URL there was meant for another setting, and holds a password. @throws KasmDbError usage */
export function requireName(what: string, name: string, source: string | undefined): string {
  if (!/:\/\//.test(name)) return name;
  throw new KasmDbError('usage', `${what} (${source}) holds a URL`, {
    hint: 'put the URL into KASM_DB_URL, and here the name alone',
  });
}

/** The vendor's Secret has the application's password under this key. */
function mountedPassword(folder: string | undefined, found: Values): string | undefined {
  const path = folder && join(folder, 'db-password');
  if (!path || !existsSync(path)) return undefined;
  found.setSource('password', path);
  return readSecretFile(path, 'db-password');
}

/**
 * Which of several servers will do. A command that writes needs the primary: `any` and `prefer-standby`, which a gate may share with it,
 * are met by that one too.
 */
function wishedServer(found: Values, hosts: number, writes: boolean): TargetSessionAttrs {
  const wish = (found.text('target_session_attrs') ?? 'any') as TargetSessionAttrs;
  if (!writes) return wish;
  if (wish === 'standby' || wish === 'read-only') {
    throw new KasmDbError(
      'usage',
      `target_session_attrs "${wish}" (${found.sources.target_session_attrs}) takes no writes`,
      { hint: 'this command writes: use primary or read-write, or leave it out, which finds the primary' },
    );
  }
  return hosts > 1 && wish !== 'read-write' ? 'primary' : wish;
}

function keepaliveSeconds(found: Values): number | undefined {
  const seconds = found.integer('keepalives_idle') ?? DEFAULT_KEEPALIVE_SECONDS;
  return found.integer('keepalives') === 0 ? undefined : Math.max(seconds, 0);
}

function connectTimeout(found: Values, flag: string | undefined): number {
  const seconds = found.integer('connect_timeout');
  if (flag !== undefined) {
    found.setSource('connect_timeout', '--connect-timeout');
    return parseDuration(flag, '--connect-timeout');
  }
  if (seconds === undefined) return DEFAULT_CONNECT_TIMEOUT_MS;
  // Zero means for ever; a timer takes no more than that.
  return seconds <= 0 ? LARGEST_INTEGER : Math.min(seconds * 1000, LARGEST_INTEGER);
}

function serviceLinks(env: Environment): string[] {
  return PARAMETERS.flatMap(({ own = '', variable = '', secret }) =>
    [own, variable]
      .filter((name) => isServiceLink(env, name))
      .map(
        (name) =>
          `${name}${secret ? '' : `=${env[name]}`} is a Kubernetes service link, not a setting: ignored (enableServiceLinks: false removes it)`,
      ),
  );
}
