/** One of libpq's connection parameters (PostgreSQL manual, 34.1.2), and what kasm-db does with it. */
export interface Parameter {
  keyword: string;
  /** libpq's environment variable. */
  variable?: string;
  /** Ours, before libpq's: the names that Kasm's containers use. */
  own?: string;
  /** Its option on the command line. */
  flag?: string;
  /** Never shown, and refused among process arguments. */
  secret?: true;
  default?: string;
  /** The only values; libpq tells upper case from lower here and refuses an empty one. */
  values?: readonly string[];
  /** Why kasm-db refuses any other value than `harmless`, and what to do. */
  refused?: string;
  /** Values of a refused parameter that mean what kasm-db does anyway; without it only an empty one does. */
  harmless?: RegExp;
  /** For docs/SETTINGS.md. */
  note?: string;
}

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export const TARGET_SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

const NO_GSSAPI = 'kasm-db has no GSSAPI: leave it out and log in with a password or a certificate';
const NO_OAUTH = 'kasm-db has no OAuth: leave it out and log in with a password or a certificate';
/** libpq refuses an empty one, too. */
const NONE = /(?!)/;
const NO_SCRAM_KEYS = 'leave it out and set the password';

/**
 * All parameters of libpq 18. One that is not here is unknown to libpq too and refused wherever it is set; one that is here is either done
 * as libpq does it or refused by name: none is passed over, since leaving one out may send a password where it must not go.
 */
export const PARAMETERS: readonly Parameter[] = [
  { keyword: 'service', variable: 'PGSERVICE', note: 'section of a service file' },
  {
    keyword: 'host',
    variable: 'PGHOST',
    own: 'POSTGRES_HOST',
    flag: '--host',
    default: 'localhost',
    note: 'several with commas, tried in order; a folder of Unix sockets begins with /',
  },
  {
    keyword: 'hostaddr',
    variable: 'PGHOSTADDR',
    note: 'IP addresses to connect to; `host` is then the name in the certificate',
  },
  {
    keyword: 'port',
    variable: 'PGPORT',
    own: 'POSTGRES_PORT',
    flag: '--port',
    default: '5432',
    note: 'one for all hosts, or one for each',
  },
  { keyword: 'dbname', variable: 'PGDATABASE', own: 'POSTGRES_DB', flag: '--dbname', default: 'the user' },
  { keyword: 'user', variable: 'PGUSER', own: 'POSTGRES_USER', flag: '--user', default: "the process's account" },
  { keyword: 'password', variable: 'PGPASSWORD', own: 'POSTGRES_PASSWORD', secret: true },
  { keyword: 'passfile', variable: 'PGPASSFILE', default: '~/.pgpass' },
  {
    keyword: 'require_auth',
    variable: 'PGREQUIREAUTH',
    note: 'password, md5, scram-sha-256, none, gss, sspi, oauth; with commas; with ! each that must not be',
  },
  {
    keyword: 'channel_binding',
    variable: 'PGCHANNELBINDING',
    default: 'prefer',
    values: ['disable', 'prefer', 'require'],
  },
  {
    keyword: 'connect_timeout',
    variable: 'PGCONNECT_TIMEOUT',
    flag: '--connect-timeout',
    default: '10',
    note: 'seconds (the flag: 30s); for the whole attempt with its repetitions; 0: for ever',
  },
  {
    keyword: 'target_session_attrs',
    variable: 'PGTARGETSESSIONATTRS',
    flag: '--target-session-attrs',
    default: 'any',
    values: TARGET_SESSION_ATTRS,
  },
  { keyword: 'load_balance_hosts', variable: 'PGLOADBALANCEHOSTS', default: 'disable', values: ['disable', 'random'] },
  { keyword: 'options', variable: 'PGOPTIONS', note: 'server settings at login, `-c name=value`' },
  {
    keyword: 'client_encoding',
    variable: 'PGCLIENTENCODING',
    default: 'UTF8',
    refused: 'kasm-db speaks UTF8 alone: leave it out',
    harmless: /^(utf[-_]?8|unicode|auto|)$/i,
  },
  {
    keyword: 'application_name',
    variable: 'PGAPPNAME',
    note: 'has no effect: sessions are named `kasm-db/<version> <pod or host>`, by which a run is found',
  },
  { keyword: 'fallback_application_name', note: 'has no effect, as above' },
  { keyword: 'keepalives', default: '1' },
  { keyword: 'keepalives_idle', default: '10', note: 'seconds' },
  { keyword: 'keepalives_interval', refused: 'it cannot be set from here: leave it out (it is 1 s)' },
  { keyword: 'keepalives_count', refused: 'it cannot be set from here: leave it out (it is 10)' },
  {
    keyword: 'tcp_user_timeout',
    refused: "it cannot be set from here: leave it out (the server's own is set)",
    harmless: /^\s*-?0+\s*$/,
  },
  { keyword: 'sslmode', variable: 'PGSSLMODE', flag: '--sslmode', default: 'prefer', values: SSL_MODES },
  {
    keyword: 'sslnegotiation',
    variable: 'PGSSLNEGOTIATION',
    default: 'postgres',
    values: ['postgres', 'direct'],
    note: 'direct: PostgreSQL 17 and later',
  },
  {
    keyword: 'sslcompression',
    variable: 'PGSSLCOMPRESSION',
    note: 'has no effect, as in libpq: TLS has none any more',
  },
  { keyword: 'sslcert', variable: 'PGSSLCERT', default: '~/.postgresql/postgresql.crt' },
  {
    keyword: 'sslkey',
    variable: 'PGSSLKEY',
    default: '~/.postgresql/postgresql.key',
    note: 'PEM or DER; 0600 or less, or 0640 where root owns it',
  },
  {
    keyword: 'sslpassword',
    variable: 'PGSSLPASSWORD',
    secret: true,
    note: 'of an encrypted key; the variable is ours, libpq has none',
  },
  { keyword: 'sslcertmode', variable: 'PGSSLCERTMODE', default: 'allow', values: ['disable', 'allow', 'require'] },
  {
    keyword: 'sslrootcert',
    variable: 'PGSSLROOTCERT',
    default: '~/.postgresql/root.crt',
    note: '`system`: the roots that the system trusts, with sslmode verify-full',
  },
  { keyword: 'sslcrl', variable: 'PGSSLCRL', default: '~/.postgresql/root.crl' },
  { keyword: 'sslcrldir', variable: 'PGSSLCRLDIR', note: 'files named by `openssl rehash`' },
  { keyword: 'sslsni', variable: 'PGSSLSNI', default: '1' },
  { keyword: 'requirepeer', variable: 'PGREQUIREPEER', note: 'account that must own the Unix socket, by /etc/passwd' },
  {
    keyword: 'ssl_min_protocol_version',
    variable: 'PGSSLMINPROTOCOLVERSION',
    default: 'TLSv1.2',
    note: 'TLSv1, TLSv1.1, TLSv1.2, TLSv1.3',
  },
  { keyword: 'ssl_max_protocol_version', variable: 'PGSSLMAXPROTOCOLVERSION' },
  {
    keyword: 'min_protocol_version',
    variable: 'PGMINPROTOCOLVERSION',
    default: '3.0',
    refused: 'kasm-db speaks protocol 3.0: leave it out',
    harmless: /^3\.0$/,
  },
  {
    keyword: 'max_protocol_version',
    variable: 'PGMAXPROTOCOLVERSION',
    default: '3.0',
    refused: 'it is 3.0, 3.2 or latest',
    harmless: /^(3\.0|3\.2|latest)$/,
  },
  {
    keyword: 'gssencmode',
    variable: 'PGGSSENCMODE',
    default: 'disable',
    refused: `${NO_GSSAPI} (PGSSLMODE=require encrypts)`,
    harmless: /^(disable|prefer)$/,
  },
  {
    keyword: 'krbsrvname',
    variable: 'PGKRBSRVNAME',
    default: 'postgres',
    refused: NO_GSSAPI,
    harmless: /^(postgres)?$/,
  },
  { keyword: 'gsslib', variable: 'PGGSSLIB', refused: NO_GSSAPI },
  { keyword: 'gssdelegation', variable: 'PGGSSDELEGATION', default: '0', refused: NO_GSSAPI, harmless: /^0?$/ },
  { keyword: 'replication', refused: 'kasm-db does not replicate: leave it out', harmless: /^(0|f|false|n|no|off|)$/i },
  { keyword: 'scram_client_key', secret: true, refused: NO_SCRAM_KEYS, harmless: NONE },
  { keyword: 'scram_server_key', secret: true, refused: NO_SCRAM_KEYS, harmless: NONE },
  { keyword: 'oauth_issuer', refused: NO_OAUTH },
  { keyword: 'oauth_client_id', refused: NO_OAUTH },
  { keyword: 'oauth_client_secret', secret: true, refused: NO_OAUTH },
  { keyword: 'oauth_scope', refused: NO_OAUTH },
  { keyword: 'sslkeylogfile', refused: 'kasm-db writes no session keys: leave it out' },
];

const BY_KEYWORD = new Map(PARAMETERS.map((parameter) => [parameter.keyword, parameter]));

/** @returns undefined for a keyword that libpq does not know either */
export function parameterOf(keyword: string): Parameter | undefined {
  return BY_KEYWORD.get(keyword);
}
