import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import { parseDuration } from './duration.js';
import { readService } from './service-file.js';
import { parseConnectionUrl } from './url.js';

/** The message where nothing names a database. */
export const NO_DATABASE = 'no database is given';

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export const PROTOCOL_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

export const TARGET_SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

export const CHANNEL_BINDING_MODES = ['disable', 'prefer', 'require'] as const;
export type ChannelBinding = (typeof CHANNEL_BINDING_MODES)[number];

/** Everything needed to log in, each value from the first place that set it. */
export interface ConnectionSettings {
  /** Tried in order. */
  hosts: { host: string; port: number }[];
  dbname: string;
  user: string;
  /** undefined: none is set (the server may still let us in, or .pgpass may know it). */
  password: string | undefined;
  sslmode: SslMode;
  sslrootcert: string | undefined;
  sslcert: string | undefined;
  sslkey: string | undefined;
  /** Of an encrypted sslkey. */
  sslpassword: string | undefined;
  sslcrl: string | undefined;
  sslMinProtocolVersion: ProtocolVersion;
  sslMaxProtocolVersion: ProtocolVersion | undefined;
  channelBinding: ChannelBinding;
  targetSessionAttrs: TargetSessionAttrs;
  /** Server options, as in PGOPTIONS. */
  options: string | undefined;
  /** Role taken on in every transaction (SET ROLE). */
  role: string | undefined;
  /** How long the whole attempt to connect may take, in milliseconds. */
  connectTimeoutMs: number;
  passfile: string | undefined;
  /** Where each value came from, by keyword: `host` → `POSTGRES_HOST`. */
  sources: Record<string, string>;
  /** What was ignored and why, for `doctor`. */
  notes: string[];
}

/** The connection flags of the command line, as the user wrote them. */
export interface ConnectionFlags {
  url?: string;
  host?: string;
  port?: string;
  dbname?: string;
  user?: string;
  sslmode?: string;
  targetSessionAttrs?: string;
  directUrl?: string;
  role?: string;
  connectTimeout?: string;
  /** Folder of a mounted Secret; its key db-password is the last place where a password is looked for. */
  secrets?: string;
}

export type Environment = Record<string, string | undefined>;

/** The one list of connection settings: keyword, flag, Kasm's variable, libpq's variable. */
const SETTINGS = [
  { key: 'host', flag: 'host', kasm: 'POSTGRES_HOST', libpq: 'PGHOST' },
  { key: 'port', flag: 'port', kasm: 'POSTGRES_PORT', libpq: 'PGPORT' },
  { key: 'dbname', flag: 'dbname', kasm: 'POSTGRES_DB', libpq: 'PGDATABASE' },
  { key: 'user', flag: 'user', kasm: 'POSTGRES_USER', libpq: 'PGUSER' },
  { key: 'password', kasm: 'POSTGRES_PASSWORD', libpq: 'PGPASSWORD' },
  { key: 'sslmode', flag: 'sslmode', libpq: 'PGSSLMODE' },
  { key: 'sslrootcert', libpq: 'PGSSLROOTCERT' },
  { key: 'sslcert', libpq: 'PGSSLCERT' },
  { key: 'sslkey', libpq: 'PGSSLKEY' },
  { key: 'sslcrl', libpq: 'PGSSLCRL' },
  // libpq has no variable for this one.
  { key: 'sslpassword', libpq: 'PGSSLPASSWORD' },
  { key: 'ssl_min_protocol_version', libpq: 'PGSSLMINPROTOCOLVERSION' },
  { key: 'ssl_max_protocol_version', libpq: 'PGSSLMAXPROTOCOLVERSION' },
  { key: 'channel_binding', libpq: 'PGCHANNELBINDING' },
  { key: 'target_session_attrs', flag: 'targetSessionAttrs', libpq: 'PGTARGETSESSIONATTRS' },
  { key: 'options', libpq: 'PGOPTIONS' },
  { key: 'connect_timeout', libpq: 'PGCONNECT_TIMEOUT' },
  { key: 'passfile', libpq: 'PGPASSFILE' },
] as const;

type Keyword = (typeof SETTINGS)[number]['key'];
type Found = { value: string; source: string };

/** 10 s: long enough for a server that is just restarting its listener, short enough for a person who waits. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const ZERO_MEANS_FOR_EVER_MS = 2_147_483_647;

/**
 * Finds every connection setting (flag, KASM_DB_URL, DATABASE_URL, POSTGRES_*, a libpq service, PG*).
 * Reads `*_FILE` secrets each time, so call it again for every attempt.
 * @param options.direct use the direct URL where one is set (commands that write)
 * @throws KasmDbError usage, naming the setting
 */
export function resolveSettings(
  flags: ConnectionFlags,
  env: Environment,
  options: { direct: boolean },
): ConnectionSettings {
  const notes: string[] = [];
  const variable = (name: string): Found | undefined => readVariable(env, name, notes);

  const urls: { values: Partial<Record<string, string>>; source: string }[] = [];
  const addUrl = (text: string | undefined, source: string, isFlag: boolean) => {
    if (!text) return;
    const { params, ...rest } = parseConnectionUrl(text, source);
    if (isFlag && (rest.password || params.sslpassword)) throw passwordInArgument(source);
    urls.push({ values: { ...params, ...rest }, source });
  };
  if (options.direct) {
    addUrl(flags.directUrl, '--direct-url', true);
    if (!flags.directUrl) addUrl(variable('KASM_DB_DIRECT_URL')?.value, 'KASM_DB_DIRECT_URL', false);
  }
  const directUrls = urls.length;
  // A password in it is refused also where the command doesn't use it.
  if (!options.direct) {
    addUrl(flags.directUrl, '--direct-url', true);
    urls.length = directUrls;
  }
  addUrl(flags.url, '--url', true);
  addUrl(variable('KASM_DB_URL')?.value, 'KASM_DB_URL', false);
  addUrl(variable('DATABASE_URL')?.value, 'DATABASE_URL', false);

  const fromUrl = (key: string, from: number, to: number): Found | undefined => {
    for (const url of urls.slice(from, to)) {
      const value = url.values[key];
      if (value) return { value, source: url.source };
    }
    return undefined;
  };
  const flagUrls = directUrls + (flags.url ? 1 : 0);
  const serviceName = variable('PGSERVICE')?.value ?? fromUrl('service', 0, urls.length)?.value;
  const service = serviceName ? readService(serviceName, env) : undefined;

  const sources: Record<string, string> = {};
  const get = (key: Keyword): string | undefined => {
    const setting = SETTINGS.find((s) => s.key === key) as (typeof SETTINGS)[number];
    const flag = 'flag' in setting ? flags[setting.flag] : undefined;
    const found =
      fromUrl(key, 0, directUrls) ??
      (flag !== undefined ? { value: flag, source: `--${key.replaceAll('_', '-')}` } : undefined) ??
      fromUrl(key, directUrls, flagUrls) ??
      fromUrl(key, flagUrls, urls.length) ??
      ('kasm' in setting ? variable(setting.kasm) : undefined) ??
      (service?.[key] ? { value: service[key], source: `service ${serviceName}` } : undefined) ??
      variable(setting.libpq);
    if (found) sources[key] = found.source;
    return found?.value;
  };

  const host = get('host');
  const port = get('port');
  const dbname = get('dbname');
  const user = get('user');
  if (host === undefined && dbname === undefined && user === undefined) {
    throw new KasmDbError('usage', NO_DATABASE, {
      hint: 'set KASM_DB_URL, or POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD (each also as NAME_FILE), or use --host, --dbname and --user; --embedded starts a private PostgreSQL',
    });
  }
  const login = user ?? userInfo().username;
  const hosts = pairHosts(host ?? 'localhost', port ?? '5432', sources);
  const sslrootcert = get('sslrootcert');
  const role = flags.role ?? variable('KASM_DB_ROLE')?.value;
  return {
    hosts,
    dbname: dbname ?? login,
    user: login,
    password: get('password') ?? mountedPassword(flags.secrets ?? env.KASM_DB_SECRETS_DIR, sources),
    sslmode: sslMode(get('sslmode'), sslrootcert, sources),
    sslrootcert,
    sslcert: get('sslcert'),
    sslkey: get('sslkey'),
    sslpassword: get('sslpassword'),
    sslcrl: get('sslcrl'),
    sslMinProtocolVersion: protocolVersion('ssl_min_protocol_version', get, sources) ?? 'TLSv1.2',
    sslMaxProtocolVersion: protocolVersion('ssl_max_protocol_version', get, sources),
    channelBinding: oneOf('channel_binding', get('channel_binding') ?? 'prefer', CHANNEL_BINDING_MODES, sources),
    targetSessionAttrs: wishedServer(get('target_session_attrs'), hosts.length, options.direct, sources),
    options: get('options'),
    role: role || undefined,
    connectTimeoutMs: connectTimeout(flags.connectTimeout, get('connect_timeout'), sources),
    passfile: get('passfile'),
    sources,
    notes,
  };
}

/** The vendor's Secret has the application's password under this key. */
function mountedPassword(folder: string | undefined, sources: Record<string, string>): string | undefined {
  const path = folder ? join(folder, 'db-password') : undefined;
  if (!path || !existsSync(path)) return undefined;
  sources.password = path;
  return readSecretFile(path, 'db-password');
}

function passwordInArgument(source: string): KasmDbError {
  return new KasmDbError('usage', `${source} holds a password; process arguments are visible to other users`, {
    hint: 'put the password into POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or KASM_DB_URL',
  });
}

/** Reads NAME or NAME_FILE. Kubernetes service links (`tcp://…`) are not settings (TRAPS 35). */
export function readVariable(env: Environment, name: string, notes: string[] = []): Found | undefined {
  const value = env[name];
  const file = env[`${name}_FILE`];
  if (value && file) {
    throw new KasmDbError('usage', `both ${name} and ${name}_FILE are set`, { hint: 'unset one of them' });
  }
  if (file) return { value: readSecretFile(file, `${name}_FILE`), source: `${name}_FILE` };
  if (!value) return undefined;
  if (/^(tcp|udp|sctp):\/\//.test(value)) {
    const note = `${name}=${value} is a Kubernetes service link, not a setting: ignored (enableServiceLinks: false removes it)`;
    if (!notes.includes(note)) notes.push(note);
    return undefined;
  }
  return { value, source: name };
}

/**
 * Reads a mounted secret; the newline that editors and `kubectl create secret --from-file` leave at its end is not part of it.
 * @throws KasmDbError usage
 */
export function readSecretFile(path: string, setting: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new KasmDbError('usage', `${setting}: cannot read ${path} (${messageOf(error)})`, {
      hint: 'mount the Secret there, or correct the path',
    });
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new KasmDbError('usage', `${setting}: ${path} is empty`);
  if (value.includes('\0')) throw new KasmDbError('usage', `${setting}: ${path} holds a NUL byte; it is no text`);
  return value;
}

function pairHosts(host: string, port: string, sources: Record<string, string>): { host: string; port: number }[] {
  const hosts = host.split(',');
  const ports = port.split(',').map((text) => {
    const trimmed = text.trim() || '5432';
    const number = Number(trimmed);
    if (!/^\d+$/.test(trimmed) || number < 1 || number > 65_535) {
      // In a URL it may be part of a password that was not encoded.
      const shown = /URL|url/.test(sources.port ?? '') ? 'the port' : `port "${text}"`;
      throw new KasmDbError('usage', `${shown} (${sources.port ?? 'default'}) is not a number from 1 to 65535`);
    }
    return number;
  });
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new KasmDbError('usage', `${hosts.length} hosts but ${ports.length} ports`, {
      hint: 'give one port for all hosts, or one for each',
    });
  }
  return hosts.map((name, i) => ({
    host: name.trim() || 'localhost',
    port: (ports.length > 1 ? ports[i] : ports[0]) as number,
  }));
}

/** libpq's word for the roots that the system trusts; as there, it wants verify-full and makes it the default. */
export const SYSTEM_ROOTS = 'system';

function sslMode(value: string | undefined, root: string | undefined, sources: Record<string, string>): SslMode {
  const mode = oneOf('sslmode', value ?? (root === SYSTEM_ROOTS ? 'verify-full' : 'prefer'), SSL_MODES, sources);
  if (root === SYSTEM_ROOTS && mode !== 'verify-full')
    throw new KasmDbError('usage', `sslrootcert=system needs sslmode=verify-full, not ${mode} (${sources.sslmode})`);
  return mode;
}

function protocolVersion(
  key: 'ssl_min_protocol_version' | 'ssl_max_protocol_version',
  get: (key: Keyword) => string | undefined,
  sources: Record<string, string>,
): ProtocolVersion | undefined {
  const value = get(key);
  const known = PROTOCOL_VERSIONS.find((version) => version.toLowerCase() === value?.toLowerCase());
  return value === undefined ? undefined : (known ?? oneOf(key, value, PROTOCOL_VERSIONS, sources));
}

/**
 * Which of several servers will do. A command that writes needs the primary: `any` and `prefer-standby`, which a gate may share with it,
 * are met by that one too.
 */
function wishedServer(
  value: string | undefined,
  hosts: number,
  writes: boolean,
  sources: Record<string, string>,
): TargetSessionAttrs {
  const wish = oneOf('target_session_attrs', value ?? 'any', TARGET_SESSION_ATTRS, sources);
  if (!writes) return wish;
  if (wish === 'standby' || wish === 'read-only') {
    throw new KasmDbError('usage', `target_session_attrs "${wish}" (${sources.target_session_attrs}) takes no writes`, {
      hint: 'this command writes: use primary or read-write, or leave it out, which finds the primary',
    });
  }
  return hosts > 1 && wish !== 'read-write' ? 'primary' : wish;
}

function oneOf<T extends string>(
  key: string,
  value: string,
  allowed: readonly T[],
  sources: Record<string, string>,
): T {
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw new KasmDbError('usage', `${key} "${value}" (${sources[key]}) is unknown`, {
    hint: `it is one of ${allowed.join(', ')}`,
  });
}

function connectTimeout(
  flag: string | undefined,
  seconds: string | undefined,
  sources: Record<string, string>,
): number {
  if (flag !== undefined) return parseDuration(flag, '--connect-timeout');
  if (seconds === undefined) return DEFAULT_CONNECT_TIMEOUT_MS;
  if (!/^-?\d+$/.test(seconds.trim())) {
    throw new KasmDbError(
      'usage',
      `connect_timeout "${seconds}" (${sources.connect_timeout}) is not a number of seconds`,
    );
  }
  const value = Number(seconds);
  return value <= 0 ? ZERO_MEANS_FOR_EVER_MS : Math.min(value * 1000, ZERO_MEANS_FOR_EVER_MS);
}
