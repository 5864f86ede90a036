import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { keepSecret } from '../app/secrets.js';
import { accountOf, homeFile } from './account.js';
import { type RequiredMethods, requiredMethods } from './authentication-methods.js';
import { type ConnectionValues, parseConnectionString } from './connection-string.js';
import { parseDuration } from './duration.js';
import { type Host, pairHosts } from './hosts.js';
import { PARAMETERS, type Parameter, parameterOf, type SslMode, type TargetSessionAttrs } from './parameters.js';
import { readService } from './service-file.js';
import { type Environment, isServiceLink, readSecretFile, readVariable, variableName } from './variables.js';

export type { Environment } from './variables.js';

/** The message where nothing names a database. */
export const NO_DATABASE = 'no database is given';

const PROTOCOL_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

/** libpq's word for the roots that the system trusts. */
export const SYSTEM_ROOTS = 'system';

/** Everything needed to log in, each value from the first place that set it. */
export interface ConnectionSettings {
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
  /** The default files are in it where they exist. */
  sslrootcert: string | undefined;
  sslcert: string | undefined;
  sslkey: string | undefined;
  /** Of an encrypted sslkey. */
  sslpassword: string | undefined;
  sslcertmode: 'disable' | 'allow' | 'require';
  sslcrl: string | undefined;
  sslcrldir: string | undefined;
  sslMinProtocolVersion: ProtocolVersion | undefined;
  sslMaxProtocolVersion: ProtocolVersion | undefined;
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

/** 10 s: long enough for a server that is just restarting its listener, short enough for a person who waits. */
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const ZERO_MEANS_FOR_EVER_MS = 2_147_483_647;
const DEFAULT_KEEPALIVE_SECONDS = 10;

/**
 * The settings of a run: found once. Only the files of secrets are read again at each call, that is for each attempt to connect, since a
 * mounted Secret may change meanwhile.
 * @param options.direct use the direct URL where one is set (commands that write)
 */
export function settingsOf(
  flags: ConnectionFlags,
  env: Environment,
  options: { direct: boolean },
): () => ConnectionSettings {
  let settings: ConnectionSettings | undefined;
  let contents = new Map<string, string | undefined>();
  const changed = () => [...contents].some(([path, content]) => contentOf(path) !== content);
  return () => {
    if (settings && !changed()) return settings;
    contents = new Map();
    settings = undefined;
    settings = resolveSettings(flags, env, { ...options, onFile: (path, content) => contents.set(path, content) });
    return settings;
  };
}

function contentOf(path: string): string | undefined {
  try {
    return readSecretFile(path, path);
  } catch {
    return undefined;
  }
}

/** One place where settings may stand. */
interface Place {
  /** How messages name it; undefined: it does not set this parameter. An empty value counts as libpq counts it. */
  source(parameter: Parameter): string | undefined;
  value(parameter: Parameter): string;
}

/**
 * Finds every connection setting: per value, the first of flag, KASM_DB_URL, DATABASE_URL, POSTGRES_*, a libpq service, PG*.
 * @param options.onFile told which secret files were read, and what they hold (undefined: not there)
 * @throws KasmDbError usage, naming the setting
 */
export function resolveSettings(
  flags: ConnectionFlags,
  env: Environment,
  options: { direct: boolean; onFile?: (path: string, content: string | undefined) => void },
): ConnectionSettings {
  const readFile = (path: string, setting: string) => {
    const content = readSecretFile(path, setting);
    options.onFile?.(path, content);
    return content;
  };
  const places = findPlaces(flags, env, options.direct, readFile);
  const found = new Values(places);
  const host = found.text('host');
  const hostaddr = found.text('hostaddr');
  const login = found.text('user');
  const named = found.text('dbname');
  if (!host && !hostaddr && !named && !login) {
    throw new KasmDbError('usage', NO_DATABASE, {
      hint: 'set KASM_DB_URL, or POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD (each also as NAME_FILE), or use --host, --dbname and --user; --embedded starts a private PostgreSQL',
    });
  }
  const user = login || accountName();
  const dbname = databaseName(named || user, found);
  const hosts = pairHosts({ host, hostaddr, port: found.text('port') }, found.sources);
  const rootCert = found.text('sslrootcert') || undefined;
  const sslmode = sslMode(found, rootCert);
  const crl = { sslcrl: found.text('sslcrl') || undefined, sslcrldir: found.text('sslcrldir') || undefined };
  const inHome = (name: string) => {
    const path = homeFile(env, '.postgresql', name);
    return path && existsSync(path) ? path : undefined;
  };
  return {
    hosts,
    loadBalance: found.text('load_balance_hosts') === 'random',
    dbname,
    user,
    password: keepSecret(
      found.text('password') || mountedPassword(flags.secrets ?? env.KASM_DB_SECRETS_DIR, found, options.onFile),
    ),
    passfile: found.text('passfile') || homeFile(env, '.pgpass'),
    requireAuth: requiredMethods(found.text('require_auth'), found.sources.require_auth),
    channelBinding: (found.text('channel_binding') ?? 'prefer') as ConnectionSettings['channelBinding'],
    requirePeer: found.text('requirepeer') || undefined,
    sslmode,
    sslDirect: sslDirect(found, sslmode),
    sslSni: (found.text('sslsni') ?? '1').startsWith('1'),
    sslrootcert: rootCert ?? inHome('root.crt'),
    sslcert: found.text('sslcert') || inHome('postgresql.crt'),
    sslkey: found.text('sslkey') || inHome('postgresql.key'),
    sslpassword: keepSecret(found.text('sslpassword') || undefined),
    sslcertmode: certificateMode(found),
    ...(crl.sslcrl || crl.sslcrldir ? crl : { sslcrl: inHome('root.crl'), sslcrldir: undefined }),
    ...protocolVersions(found),
    targetSessionAttrs: wishedServer(found, hosts.length, options.direct),
    options: found.text('options') || undefined,
    keepaliveSeconds: keepaliveSeconds(found),
    role: flags.role || readVariable(env, 'KASM_DB_ROLE', readFile)?.value,
    connectTimeoutMs: connectTimeout(found, flags.connectTimeout),
    sources: found.sources,
    hidden: found.hidden,
    given: found.given,
    contradictions: found.contradictions,
    notes: serviceLinks(env),
  };
}

/** All places, the strongest first. */
function findPlaces(
  flags: ConnectionFlags,
  env: Environment,
  direct: boolean,
  readFile: typeof readSecretFile,
): Place[] {
  const flag = (text: string | undefined, name: string) => (text === undefined ? [] : [stringPlace(text, name, true)]);
  const variable = (name: string) => {
    const found = readVariable(env, name, readFile);
    return found ? [stringPlace(found.value, name, false)] : [];
  };
  // A password in it is refused also where the command doesn't use it.
  const directFlag = flag(flags.directUrl, '--direct-url');
  const directUrl = directFlag.length > 0 ? directFlag : direct ? variable('KASM_DB_DIRECT_URL') : [];
  const strings = [...flag(flags.url, '--url'), ...variable('KASM_DB_URL'), ...variable('DATABASE_URL')];
  const own = variablesPlace(env, (parameter) => parameter.own, readFile);
  const libpq = variablesPlace(env, (parameter) => parameter.variable, readFile, true);
  const places = [...(direct ? directUrl : []), flagsPlace(flags), ...strings, own];
  // A service that a connection string names goes before PGSERVICE, as in libpq.
  const service = parameterOf('service') as Parameter;
  const naming = [...places, libpq].find((place) => place.source(service) !== undefined);
  if (!naming) return [...places, libpq];
  const name = naming.value(service);
  return [...places, valuesPlace(readService(name, env), `service ${name}`), libpq];
}

function valuesPlace(values: ConnectionValues, source: string): Place {
  return {
    source: ({ keyword }) => (values.has(keyword) ? source : undefined),
    value: ({ keyword }) => values.get(keyword) as string,
  };
}

function stringPlace(text: string, source: string, isFlag: boolean): Place {
  const values = parseConnectionString(text, source);
  const secret = PARAMETERS.find((parameter) => isFlag && parameter.secret && values.get(parameter.keyword));
  if (secret)
    throw new KasmDbError('usage', `${source} holds a password; process arguments are visible to other users`, {
      hint: 'put the password into POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or KASM_DB_URL',
    });
  return valuesPlace(values, source);
}

/** The flags that are a parameter of libpq each; --connect-timeout has a form of its own. */
function flagsPlace({ host, port, dbname, user, sslmode, targetSessionAttrs }: ConnectionFlags): Place {
  const given = { host, port, dbname, user, sslmode, target_session_attrs: targetSessionAttrs };
  const values: ConnectionValues = new Map();
  for (const [keyword, value] of Object.entries(given)) {
    const flag = parameterOf(keyword)?.flag as string;
    // An unset variable of a script must not become a default.
    if (value === '') throw new KasmDbError('usage', `${flag} is empty`, { hint: 'give it a value, or leave it out' });
    if (keyword === 'dbname' && value?.includes('='))
      throw new KasmDbError('usage', '--dbname is the name of a database', {
        hint: 'a connection string goes into --url',
      });
    if (value !== undefined) values.set(keyword, value);
  }
  return {
    ...valuesPlace(values, ''),
    source: (parameter) => (values.has(parameter.keyword) ? parameter.flag : undefined),
  };
}

/** @param emptyCounts as in libpq: an empty variable is set, and overrides the default */
function variablesPlace(
  env: Environment,
  nameOf: (parameter: Parameter) => string | undefined,
  readFile: typeof readSecretFile,
  emptyCounts = false,
): Place {
  const source = (parameter: Parameter) => {
    const name = nameOf(parameter);
    if (name === undefined) return undefined;
    const set = variableName(env, name) ?? (emptyCounts && env[name] === '' ? name : undefined);
    if (set !== undefined || parameter.keyword !== 'sslmode' || !emptyCounts) return set;
    return env.PGREQUIRESSL?.startsWith('1') ? 'PGREQUIRESSL' : undefined;
  };
  return {
    source,
    value: (parameter) => {
      if (source(parameter) === 'PGREQUIRESSL') return 'require';
      return readVariable(env, nameOf(parameter) as string, readFile)?.value ?? '';
    },
  };
}

/** What decides which database is worked on, and how well the way there is protected. */
const DECISIVE = ['host', 'hostaddr', 'port', 'dbname', 'user', 'sslmode'];
/** The way around a pooler has another host and port. */
const DECISIVE_OF_DIRECT_URL = ['dbname'];

/** What the places hold, each value checked by the table. */
class Values {
  readonly sources: Record<string, string> = {};
  readonly hidden: Record<string, string[]> = {};
  readonly given: Record<string, string> = {};
  readonly contradictions: string[] = [];
  private readonly values: Record<string, string> = {};

  constructor(places: readonly Place[]) {
    for (const parameter of PARAMETERS) {
      const [place, ...weaker] = places.filter((candidate) => candidate.source(parameter) !== undefined);
      if (!place) continue;
      const source = place.source(parameter) as string;
      const value = place.value(parameter);
      check(parameter, value, source);
      const { keyword } = parameter;
      this.values[keyword] = value;
      this.sources[keyword] = source;
      if (!parameter.secret) this.given[keyword] = value;
      if (weaker.length > 0) this.hidden[keyword] = weaker.map((candidate) => candidate.source(parameter) as string);
      this.contradictions.push(...contradictions(parameter, place, weaker));
    }
  }

  text(keyword: string): string | undefined {
    return this.values[keyword];
  }

  /** A place outside of libpq's. */
  setSource(keyword: string, source: string): void {
    const weaker = this.sources[keyword];
    if (weaker !== undefined) this.hidden[keyword] = [weaker, ...(this.hidden[keyword] ?? [])];
    this.sources[keyword] = source;
  }

  /** A whole number as libpq takes one: blanks around it, and 32 bits. */
  integer(keyword: string): number | undefined {
    const text = this.values[keyword];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\s*[+-]?\d+\s*$/.test(text) || number !== Math.trunc(number) || Math.abs(number) > ZERO_MEANS_FOR_EVER_MS)
      throw new KasmDbError('usage', `${keyword} "${text}" (${this.sources[keyword]}) is not a whole number`, {
        hint: 'give a number without unit, or leave it out',
      });
    return number;
  }
}

function contradictions(parameter: Parameter, winner: Place, weaker: readonly Place[]): string[] {
  const { keyword } = parameter;
  const source = winner.source(parameter) as string;
  const decisive = /^(--direct-url|KASM_DB_DIRECT_URL)/.test(source) ? DECISIVE_OF_DIRECT_URL : DECISIVE;
  if (!decisive.includes(keyword)) return [];
  const value = winner.value(parameter);
  return weaker.flatMap((place) => {
    const other = valueIfReadable(place, parameter);
    if (!other || other === value) return [];
    const name = place.source(parameter) as string;
    // What is no name was meant for another setting, and may hold a password.
    const not = /^[\w.,:/-]+$/.test(other) && !other.includes('://') ? `, not ${other}` : '';
    return `${source} and ${name} contradict each other: ${keyword} is ${value || 'empty'}${not}, since ${source} counts more; unset one of them`;
  });
}

/** What does not count need not be readable. */
function valueIfReadable(place: Place, parameter: Parameter): string | undefined {
  try {
    return place.value(parameter);
  } catch {
    return undefined;
  }
}

/** The rules that the table has for a value by itself. */
function check({ keyword, values, refused, harmless, secret }: Parameter, value: string, source: string): void {
  const shown = secret ? keyword : `${keyword} "${value}"`;
  if (values && !values.includes(value))
    throw new KasmDbError('usage', `${shown} (${source}) is unknown`, { hint: `it is one of ${values.join(', ')}` });
  if (refused && !(harmless ?? /^$/).test(value))
    throw new KasmDbError('usage', `${shown} (${source}) is not supported`, { hint: refused });
  if (value.includes('\0'))
    throw new KasmDbError('usage', `${keyword} (${source}) holds a NUL byte`, {
      hint: 'write it anew, without that byte',
    });
}

function accountName(): string {
  const account = accountOf();
  if (account) return account.name;
  throw new KasmDbError('usage', `no user is given, and the process's uid ${process.geteuid?.()} has no account`, {
    hint: 'set POSTGRES_USER',
  });
}

/** A URL there was meant for another setting, and holds a password. */
function databaseName(name: string, found: Values): string {
  if (!/:\/\//.test(name)) return name;
  throw new KasmDbError('usage', `dbname (${found.sources.dbname ?? found.sources.user}) holds a URL`, {
    hint: 'put the URL into KASM_DB_URL, and here the name of the database alone',
  });
}

/** The vendor's Secret has the application's password under this key. */
function mountedPassword(
  folder: string | undefined,
  found: Values,
  onFile?: (path: string, content: string | undefined) => void,
): string | undefined {
  const path = folder ? join(folder, 'db-password') : undefined;
  if (!path) return undefined;
  const password = existsSync(path) ? readSecretFile(path, 'db-password') : undefined;
  onFile?.(path, password);
  if (password !== undefined) found.setSource('password', path);
  return password;
}

function sslMode(found: Values, root: string | undefined): SslMode {
  const mode = (found.text('sslmode') ?? (root === SYSTEM_ROOTS ? 'verify-full' : 'prefer')) as SslMode;
  if (root === SYSTEM_ROOTS && mode !== 'verify-full')
    throw new KasmDbError(
      'usage',
      `sslrootcert=system needs sslmode=verify-full, not ${mode} (${found.sources.sslmode})`,
      {
        hint: 'set PGSSLMODE=verify-full, or leave it out',
      },
    );
  return mode;
}

function sslDirect(found: Values, sslmode: SslMode): boolean {
  const direct = found.text('sslnegotiation') === 'direct';
  if (direct && ['disable', 'allow', 'prefer'].includes(sslmode))
    throw new KasmDbError(
      'usage',
      `sslnegotiation=direct (${found.sources.sslnegotiation}) needs sslmode=require or stronger, not ${sslmode}`,
      { hint: 'set PGSSLMODE=require, verify-ca or verify-full' },
    );
  return direct;
}

function certificateMode(found: Values): ConnectionSettings['sslcertmode'] {
  const mode = (found.text('sslcertmode') ?? 'allow') as ConnectionSettings['sslcertmode'];
  if (mode === 'require' && process.versions.bun)
    throw new KasmDbError('usage', `sslcertmode=require (${found.sources.sslcertmode}) needs kasm-db on Node`, {
      hint: 'this executable cannot tell whether a server has asked for a certificate: leave it out, or run the npm package',
    });
  return mode;
}

function protocolVersions(found: Values): Pick<ConnectionSettings, 'sslMinProtocolVersion' | 'sslMaxProtocolVersion'> {
  const version = (key: string, fallback: string): ProtocolVersion | undefined => {
    const value = found.text(key) ?? fallback;
    const known = PROTOCOL_VERSIONS.find((name) => name.toLowerCase() === value.toLowerCase());
    if (known || value === '') return known;
    throw new KasmDbError('usage', `${key} "${value}" (${found.sources[key]}) is unknown`, {
      hint: `it is one of ${PROTOCOL_VERSIONS.join(', ')}`,
    });
  };
  const [min, max] = [version('ssl_min_protocol_version', 'TLSv1.2'), version('ssl_max_protocol_version', '')];
  if (min && max && PROTOCOL_VERSIONS.indexOf(min) > PROTOCOL_VERSIONS.indexOf(max)) {
    const said = (key: string) => `(${found.sources[key] ?? 'default'})`;
    throw new KasmDbError(
      'usage',
      `ssl_min_protocol_version ${min} ${said('ssl_min_protocol_version')} is above ssl_max_protocol_version ${max} ${said('ssl_max_protocol_version')}`,
      { hint: 'raise PGSSLMAXPROTOCOLVERSION, or lower PGSSLMINPROTOCOLVERSION' },
    );
  }
  return { sslMinProtocolVersion: min, sslMaxProtocolVersion: max };
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
  return seconds <= 0 ? ZERO_MEANS_FOR_EVER_MS : Math.min(seconds * 1000, ZERO_MEANS_FOR_EVER_MS);
}

function serviceLinks(env: Environment): string[] {
  const found = PARAMETERS.flatMap(({ own, variable, secret }) => [own, variable].map((name) => ({ name, secret })));
  return found.flatMap(({ name, secret }) =>
    name !== undefined && isServiceLink(env, name)
      ? `${name}${secret ? '' : `=${env[name]}`} is a Kubernetes service link, not a setting: ignored (enableServiceLinks: false removes it)`
      : [],
  );
}
