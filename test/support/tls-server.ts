import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { serverAccount } from '../../src/embedded/binaries.js';
import { type Authority, authority, type Certificate, selfSigned } from './certificates.js';
import { folder } from './cli.js';
import { DEFAULT_VERSION, waitFor } from './database.js';
import { SECRET_MARK } from './global-setup.js';
import { type RunningServer, startTestServer, type Version } from './server.js';

/** Of every login below. */
const TLS_PASSWORD = `${SECRET_MARK}tls`;

/** Everyone's way in, by login name. */
const HBA = `
local    all  postgres     trust
local    all  all          scram-sha-256
hostssl  all  cert_only    all  cert
hostssl  all  ssl_only     all  scram-sha-256
hostnossl all nossl_only   all  scram-sha-256
host     all  anyway       all  scram-sha-256
host     all  nocheck      all  trust
host     all  oldpassword  all  password
`;
const LOGINS = ['cert_only', 'ssl_only', 'nossl_only', 'anyway', 'nocheck', 'oldpassword'];

export interface TlsServer {
  server: RunningServer;
  /** Path of one of the files that a client may be given: right.crt, wrong.crt, client.crt, client.key, … */
  at(name: string): string;
  files: string;
  /** Certificates that the server can show, by what is special about them; undefined: TLS off. */
  certificates: Record<string, Certificate | undefined>;
  /** Gives the server one of them. */
  present(name: string): Promise<void>;
  /** Runs a statement as the superuser. */
  superuser(sql: string): Promise<unknown[]>;
  /** libpq's variables for a login. */
  env(login: string, more?: Record<string, string>): Record<string, string>;
}

export interface TlsServerOptions {
  version?: Version;
  /** Further certificates that it can show, by the CA that right.crt is of. */
  more?: (right: Authority) => Promise<Record<string, Certificate>>;
}

/** A PostgreSQL with TLS by a private CA, and logins that are let in by different rules. */
export async function startTlsServer(
  scratch: string,
  { version = DEFAULT_VERSION, more }: TlsServerOptions = {},
): Promise<TlsServer> {
  const servers: TlsServer['certificates'] = {};
  const right = await authority('the right CA');
  const wrong = await authority('another CA');
  const localhost = [
    { type: 'dns', value: 'localhost' },
    { type: 'ip', value: '127.0.0.1' },
  ] as const;
  servers['TLS off'] = undefined;
  servers['self-signed'] = await selfSigned('localhost', [...localhost]);
  servers['private CA'] = await right.issue('db', [...localhost]);
  servers['wrong name'] = await right.issue('elsewhere', [{ type: 'dns', value: 'elsewhere.example' }]);
  servers.expired = await right.issue('localhost', [...localhost], { expired: true });
  servers.revoked = await right.issue('localhost', [...localhost]);
  servers['CN localhost'] = await right.issue('localhost');
  servers['CN 127.0.0.1'] = await right.issue('127.0.0.1');
  servers['CN 127.0.0.1, DNS localhost'] = await right.issue('127.0.0.1', [{ type: 'dns', value: 'localhost' }]);
  servers['CN 127.0.0.1, IP 127.0.0.2'] = await right.issue('127.0.0.1', [{ type: 'ip', value: '127.0.0.2' }]);
  servers['CN localhost, DNS other'] = await right.issue('localhost', [{ type: 'dns', value: 'other' }]);
  servers['DNS 127.0.0.1'] = await right.issue('db', [{ type: 'dns', value: '127.0.0.1' }]);
  servers['DNS LOCALHOST'] = await right.issue('db', [{ type: 'dns', value: 'LOCALHOST' }]);
  Object.assign(servers, await more?.(right));
  const client = await right.issue('cert_only');
  const stranger = await wrong.issue('cert_only');
  const otherName = await right.issue('somebody');
  const files = folder({
    'right.crt': right.cert,
    'wrong.crt': wrong.cert,
    'both.crt': right.cert + wrong.cert,
    'self.crt': servers['self-signed'].cert,
    'revoked.crl': await right.revoke(servers.revoked),
    'none.crl': await right.revoke(),
    'client.crt': client.cert,
    'client.key': client.key,
    'stranger.crt': stranger.cert,
    'stranger.key': stranger.key,
    'other.crt': otherName.cert,
    'other.key': otherName.key,
    'no-pem': 'no certificate',
    'homes/right/.postgresql/root.crt': right.cert,
    'homes/wrong/.postgresql/root.crt': wrong.cert,
    'homes/client/.postgresql/postgresql.crt': client.cert,
    'homes/client/.postgresql/postgresql.key': client.key,
    'homes/empty/x': '',
  });
  const at = (name: string) => join(files, name);
  for (const name of ['client.key', 'stranger.key', 'other.key', 'homes/client/.postgresql/postgresql.key'])
    chmodSync(at(name), 0o600);
  const server = await startTestServer(version, scratch);
  const superuser = async (sql: string) => {
    const client = new pg.Client({
      host: server.info.sockets,
      port: server.info.port,
      user: 'postgres',
      database: 'postgres',
    });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  /** New sessions are children of a server that has read its new settings. */
  const reload = async () => {
    const loaded = async () => (await superuser('SELECT pg_conf_load_time()::text AS at'))[0].at;
    const before = await loaded();
    await superuser('SELECT pg_reload_conf()');
    while ((await loaded()) === before) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  const owned = (name: string, content: string) => {
    const path = join(server.data, name);
    writeFileSync(path, content);
    const account = serverAccount();
    if (account) chownSync(path, account.uid, account.gid);
    chmodSync(path, 0o600);
  };
  const admin = new pg.Client({
    host: '127.0.0.1',
    port: server.info.port,
    user: 'postgres',
    database: 'postgres',
    password: server.info.password,
    ssl: false,
  });
  await admin.connect();
  owned('pg_hba.conf', HBA);
  owned('root.crt', right.cert);
  await admin.query("ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
  for (const login of LOGINS) await admin.query(`CREATE ROLE ${login} LOGIN PASSWORD '${TLS_PASSWORD}'`);
  await admin.query('SELECT pg_reload_conf()');
  await admin.end();
  // Without a password only the new rules let it in.
  await waitFor(() => superuser('SELECT 1').catch(() => []), 'the rules of pg_hba.conf');
  return {
    server,
    at,
    files,
    certificates: servers,
    superuser,
    present: async (name) => {
      const certificate = servers[name];
      if (certificate) {
        owned('server.crt', certificate.cert);
        owned('server.key', certificate.key);
      }
      await superuser(`ALTER SYSTEM SET ssl = ${certificate ? 'on' : 'off'}`);
      await reload();
    },
    env: (login, more = {}) => ({
      PGHOST: 'localhost',
      PGPORT: String(server.info.port),
      PGDATABASE: 'postgres',
      PGUSER: login,
      PGPASSWORD: TLS_PASSWORD,
      ...more,
    }),
  };
}
