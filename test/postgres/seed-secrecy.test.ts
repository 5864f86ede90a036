import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LoggingServer, startLoggingServer } from '../fixtures/seed/logging-server.js';
import { document, hashOf, newSecret, newSecrets, seedArgs } from '../fixtures/seed/seeding.js';
import { type CliRun, cli, folder, startCli } from '../support/cli.js';

/** A server that logs every statement, its log kept whole. */
let server: LoggingServer;
const secrets = saltedSecrets();
const outputs: string[] = [];
/** Values that no place but the tables may hold: secrets, hashes made from them, generated keys. */
const hidden = new Set<string>();
/** What such values look like, for those that nobody can know since they were rolled back: PEM, random hex, a row on its way to COPY. */
const SECRET_FORMS = /-----BEGIN|MII[A-Za-z0-9+/]{30}|[0-9a-f]{128}|eyJ[A-Za-z0-9+/]{60}/;

/** With salts, so that the hashes are known; both tokens are the same, so that a unique index refuses them. */
function saltedSecrets(): Record<string, string> {
  const made = newSecrets();
  return {
    ...made,
    'service-token': made['manager-token'] as string,
    'admin-salt': newSecret(),
    'user-salt': newSecret(),
  };
}

const query = <R extends pg.QueryResultRow = Record<string, unknown>>(database: string, sql: string) =>
  server.query<R>(database, sql);

async function run(database: string, ...args: string[]): Promise<CliRun> {
  const result = await cli([...seedArgs({ secrets }), '--verbose', ...args], server.env(database));
  outputs.push(result.stdout, result.stderr);
  return result;
}

let databases = 0;
async function newDatabase(): Promise<string> {
  const name = `kasm_${++databases}`;
  await query('postgres', `CREATE DATABASE ${name} TEMPLATE migrated`);
  return name;
}

beforeAll(async () => {
  server = await startLoggingServer();
  await query('postgres', 'CREATE DATABASE migrated');
  const result = await cli(['migrate', '--json'], server.env('migrated'));
  expect(result.code, result.stderr).toBe(0);
});
afterAll(() => server?.stop());

function hideSecrets(): void {
  for (const secret of Object.values(secrets)) hidden.add(secret);
  for (const user of ['admin', 'user'])
    hidden.add(hashOf(secrets[`${user}-password`] as string, secrets[`${user}-salt`] as string));
}

/** What has to be nowhere else, once a database is seeded. */
async function hideMaterial(database: string): Promise<void> {
  const settings = await query<{ value: string }>(
    database,
    "SELECT value FROM settings WHERE name LIKE '%private%key' OR name IN ('token', 'registration_token')",
  );
  // Of a key its first line, which no other key has.
  for (const { value } of settings) hidden.add(value.startsWith('-----') ? (value.split('\n')[2] as string) : value);
  const users = await query<{ pw_hash: string | null; crypt: string }>(
    database,
    "SELECT pw_hash, encode(crypt_password, 'escape') AS crypt FROM users",
  );
  for (const { pw_hash, crypt } of users) {
    if (pw_hash) hidden.add(pw_hash);
    hidden.add(crypt.slice(0, 64));
  }
}

function expectHidden(text: string, where: string): void {
  const found = [...hidden]
    .filter((secret) => text.includes(secret))
    .map((secret) =>
      text
        .split('\n')
        .find((line) => line.includes(secret))
        ?.slice(0, 300),
    );
  expect(found, where).toEqual([]);
  expect(SECRET_FORMS.exec(text)?.[0], where).toBeUndefined();
}

describe('secrets stay in the tables they belong to', () => {
  let seeded: string;
  beforeAll(async () => {
    hideSecrets();
    seeded = await newDatabase();
    const result = await run(seeded);
    expect(result.code, result.stderr).toBe(0);
    await hideMaterial(seeded);
    expect(hidden.size).toBeGreaterThan(10);
  });

  /** SQL of a customer, and how it ends. */
  const refusals: [string, string, RegExp?][] = [
    [
      'a CHECK on users.pw_hash',
      'ALTER TABLE users ADD CONSTRAINT c CHECK (length(pw_hash) < 10)',
      /table users, constraint c\), SQLSTATE 23514/,
    ],
    [
      'a CHECK that casts the token',
      "ALTER TABLE settings ADD CONSTRAINT c CHECK (name <> 'token' OR value::int > 0)",
      /SQLSTATE 22P02/,
    ],
    [
      'a unique index on settings.value',
      'CREATE UNIQUE INDEX u ON settings (value) WHERE name IN ($$token$$, $$registration_token$$)',
      /constraint u\), SQLSTATE 23505/,
    ],
    ['a unique index that casts', "CREATE INDEX i ON settings ((value::int)) WHERE name = 'token'", /SQLSTATE 22P02/],
    [
      'a unique constraint that is checked at COMMIT',
      "ALTER TABLE settings ADD CONSTRAINT u EXCLUDE (value WITH =) WHERE (name IN ('token', 'registration_token')) DEFERRABLE INITIALLY DEFERRED",
      /constraint u\), SQLSTATE 23P01/,
    ],
    [
      'NOT NULL on a column that the documents leave out',
      'ALTER TABLE users ALTER first_name SET NOT NULL',
      /table users, column first_name\), SQLSTATE 23502|users.first_name is required/,
    ],
    ['a shorter settings.value', 'ALTER TABLE settings ALTER value TYPE varchar(10)', /more than 10/],
    ['a shorter users.pw_hash', 'ALTER TABLE users ALTER pw_hash TYPE varchar(10)', /SQLSTATE 22001/],
    ['pw_hash as a number', 'ALTER TABLE users ALTER pw_hash TYPE numeric USING 0', /SQLSTATE 22P02/],
    [
      'a domain over the hash',
      'CREATE DOMAIN d AS varchar CHECK (length(VALUE) < 5); ALTER TABLE users ALTER pw_hash TYPE d',
      /SQLSTATE 23514/,
    ],
    [
      'a trigger that raises with the row',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'refused: %', NEW USING DETAIL = NEW::text, HINT = NEW::text; END $$;
      CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()`,
      /SQLSTATE P0001/,
    ],
    [
      'a trigger whose assertion fails with the row',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        ASSERT false, NEW::text; RETURN NEW; END $$;
      CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()`,
      /SQLSTATE P0004/,
    ],
    [
      'a trigger that raises "cancelled" with the row',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '%', NEW USING ERRCODE = 'query_canceled'; END $$;
      CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()`,
    ],
    [
      'a trigger that raises at COMMIT',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'refused: %', NEW; END $$;
      CREATE CONSTRAINT TRIGGER t AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()`,
      /SQLSTATE P0001/,
    ],
    [
      'a foreign key from the hash',
      'CREATE TABLE h (x varchar PRIMARY KEY); ALTER TABLE users ADD CONSTRAINT k FOREIGN KEY (pw_hash) REFERENCES h',
      /SQLSTATE 23503/,
    ],
    [
      'a foreign key from the hash that is checked at COMMIT',
      'CREATE TABLE h (x varchar PRIMARY KEY); ALTER TABLE users ADD CONSTRAINT k FOREIGN KEY (pw_hash) REFERENCES h DEFERRABLE INITIALLY DEFERRED',
      /SQLSTATE 23503/,
    ],
    [
      'a generated column that divides by the length of the hash',
      'ALTER TABLE users ADD g int GENERATED ALWAYS AS (1 / (length(pw_hash) - 64)) STORED',
      /SQLSTATE 22012/,
    ],
    [
      'a value too large for an index',
      "ALTER TABLE users ADD CONSTRAINT x EXCLUDE USING btree (encode(crypt_password, 'hex') WITH =, repeat(pw_hash, 100) WITH =)",
    ],
    ['a view rule that raises', 'CREATE RULE r AS ON INSERT TO users DO ALSO SELECT (NEW.pw_hash)::int', undefined],
  ];

  it.each(refusals)('trap 39: %s', async (_, sql, message) => {
    const database = await newDatabase();
    await query(database, sql);
    const result = await run(database);
    if (message) {
      expect(result.code, result.stdout).toBe(8);
      expect(result.json().error?.message).toMatch(message);
      expect(await query(database, 'SELECT 1 FROM zones')).toEqual([]);
    } else expect([0, 6, 7, 8]).toContain(result.code);
    outputs.push(JSON.stringify(await query(database, 'SELECT * FROM kasm_db.run')));
    await hideMaterial(database);
  });

  it('a rotation that is refused, and one that is not', async () => {
    const database = await newDatabase();
    expect((await run(database)).code).toBe(0);
    Object.assign(secrets, saltedSecrets());
    hideSecrets();
    await query(database, 'ALTER TABLE users ADD CONSTRAINT c CHECK (length(pw_hash) < 10) NOT VALID');
    expect((await run(database, '--rotate', 'all')).code).toBe(8);
    await query(database, 'ALTER TABLE users DROP CONSTRAINT c');
    expect((await run(database, '--rotate', 'all')).code).toBe(0);
    await hideMaterial(database);
  });

  it('a document whose own secrets are refused', async () => {
    const secret = newSecret();
    hidden.add(secret);
    const database = await newDatabase();
    const seeds = {
      'a.yaml': document(`ldap_configs:
  - name: a
    url: x
    search_base: x
    search_filter: x
    group_membership_filter: x
    service_account_password: ${secret}
`),
    };
    const column = 'service_account_password';
    for (const sql of [
      `CREATE TABLE h (x varchar PRIMARY KEY); ALTER TABLE ldap_configs ADD CONSTRAINT k FOREIGN KEY (${column}) REFERENCES h`,
      `ALTER TABLE ldap_configs DROP CONSTRAINT k; ALTER TABLE ldap_configs ALTER ${column} TYPE varchar(5)`,
      `ALTER TABLE ldap_configs ALTER ${column} TYPE integer USING 0`,
      `ALTER TABLE ldap_configs ALTER ${column} TYPE boolean USING false`,
      `ALTER TABLE ldap_configs ALTER ${column} TYPE interval USING NULL`,
      `ALTER TABLE ldap_configs ALTER ${column} TYPE varchar, ADD CONSTRAINT c CHECK (name = ${column})`,
    ]) {
      await query(database, sql);
      const result = await cli(seedArgs({ seeds }), server.env(database));
      outputs.push(result.stdout, result.stderr);
      expect(result.code).toBe(8);
    }
  });

  it('what pg_stat_activity shows while a seed waits for a row', async () => {
    const database = await newDatabase();
    await query(database, 'CREATE UNIQUE INDEX u ON settings (category, name)');
    const blocker = await server.connect(database);
    // Nobody sees the row yet, so that the seed's INSERT has to wait for this transaction.
    await blocker.query(
      "BEGIN; INSERT INTO settings (category, name, title, value_type) VALUES ('manager', 'token', 't', 'string')",
    );
    const { ended } = startCli(seedArgs({ secrets }), server.env(database));
    let seen: { query: string }[] = [];
    for (let i = 0; i < 400 && seen.length === 0; i++) {
      seen = await query(
        database,
        `SELECT query, application_name FROM pg_stat_activity
        WHERE datname = '${database}' AND application_name LIKE 'kasm-db/%' AND wait_event_type = 'Lock'`,
      );
    }
    expect(seen).toHaveLength(1);
    outputs.push(JSON.stringify(seen));
    await blocker.query('ROLLBACK');
    await blocker.end();
    const result = await ended;
    outputs.push(result.stdout, result.stderr);
    expect(result.code, result.stderr).toBe(0);
    await hideMaterial(database);
  });

  it('trap 39: no secret is in the server log, in any output, in the run row or in the fingerprints', async () => {
    const log = server.log();
    // The log is the one that was asked for: it has the statements and the failures.
    expect(log).toContain('LOG:  statement: COPY pg_temp.kasm_db_write FROM STDIN');
    expect(log).toContain('ERROR:  a row was refused');
    expect(log.match(/ERROR: {2}a row was refused/g)?.length).toBeGreaterThan(10);
    expectHidden(log, 'the server log');
    for (const output of outputs) expectHidden(output, 'an output');
    const history = await query(
      seeded,
      'SELECT m::text AS row FROM kasm_db.migrations m UNION ALL SELECT s::text FROM kasm_db.seeds s UNION ALL SELECT r::text FROM kasm_db.run r',
    );
    expectHidden(JSON.stringify(history), 'the history');
    // The search itself finds what is there.
    const everything = JSON.stringify(await query(seeded, 'SELECT value FROM settings'));
    expect([...hidden].some((secret) => everything.includes(secret))).toBe(true);
    expect(everything).toMatch(SECRET_FORMS);
  });

  it('a password is not among what a fingerprint can be compared with', async () => {
    const [row] = await query<{ salt: string; columns: Record<string, { print: string }> }>(
      seeded,
      "SELECT salt, columns FROM kasm_db.seeds WHERE doc_key LIKE '%admin@kasm.local%' AND table_name = 'users'",
    );
    const password = secrets['admin-password'] as string;
    const prints = Object.values(row?.columns ?? {}).map(({ print }) => print);
    expect(prints.length).toBeGreaterThan(5);
    for (const text of [password, `${row?.salt}${password}`, `${password}${row?.salt}`, `${row?.salt}v${password}`]) {
      expect(prints).not.toContain(hashOf(text, ''));
    }
    expect(new Set(prints.filter(Boolean)).size).toBeGreaterThan(5);
  });
});

const openssl = (args: string[], input: string): string =>
  execFileSync('openssl', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
const hasOpenssl = (() => {
  try {
    return openssl(['version'], '').length > 0;
  } catch {
    return false;
  }
})();

describe('generated keys', () => {
  const names = [
    'api_private_key',
    'api_public_cert',
    'rdp_private_jwt_key',
    'rdp_public_jwt_cert',
    'rdp_private_key',
    'rdp_signer_cert',
  ] as const;
  type Keys = Record<(typeof names)[number], string>;
  let keys: Keys;
  let others: Keys;
  const read = async (database: string) => {
    const rows = await query<{ name: string; value: string }>(
      database,
      `SELECT name, value FROM settings WHERE name IN (${names.map((name) => `'${name}'`)})`,
    );
    return Object.fromEntries(rows.map(({ name, value }) => [name, value])) as Keys;
  };
  beforeAll(async () => {
    const pair = [await newDatabase(), await newDatabase()] as const;
    for (const database of pair) expect((await run(database)).code).toBe(0);
    [keys, others] = [await read(pair[0]), await read(pair[1])];
    expect(Object.keys(keys).sort()).toEqual([...names].sort());
  });

  it('are pairs: each public half belongs to its private key', () => {
    const publicOf = (pem: string) => createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'pem' });
    expect(publicOf(keys.api_private_key)).toBe(keys.api_public_cert);
    expect(publicOf(keys.rdp_private_jwt_key)).toBe(keys.rdp_public_jwt_cert);
    expect(createPrivateKey(keys.api_private_key)).toMatchObject({
      asymmetricKeyType: 'rsa',
      asymmetricKeyDetails: { modulusLength: 3072 },
    });
    expect(createPrivateKey(keys.rdp_private_jwt_key)).toMatchObject({
      asymmetricKeyType: 'ec',
      asymmetricKeyDetails: { namedCurve: 'prime256v1' },
    });
    expect(new X509Certificate(keys.rdp_signer_cert).checkPrivateKey(createPrivateKey(keys.rdp_private_key))).toBe(
      true,
    );
  });

  it('the certificate is valid from now for ten years, may sign, and is signed by its own key', () => {
    const certificate = new X509Certificate(keys.rdp_signer_cert);
    const from = Date.parse(certificate.validFrom);
    const to = Date.parse(certificate.validTo);
    expect(from).toBeLessThanOrEqual(Date.now());
    expect(from).toBeGreaterThan(Date.now() - 10 * 60_000);
    expect((to - from) / (365.25 * 86_400_000)).toBeCloseTo(10, 2);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.3', '1.3.6.1.5.5.7.3.1']);
    expect(BigInt(`0x${certificate.serialNumber}`)).toBeGreaterThan(0n);
  });

  it.skipIf(!hasOpenssl)('pass openssl pkey and openssl x509', () => {
    for (const name of ['api_private_key', 'rdp_private_jwt_key', 'rdp_private_key'] as const)
      expect(openssl(['pkey', '-check', '-noout'], keys[name])).toContain('Key is valid');
    expect(openssl(['pkey', '-pubout'], keys.api_private_key)).toBe(keys.api_public_cert);
    expect(openssl(['pkey', '-pubout'], keys.rdp_private_jwt_key)).toBe(keys.rdp_public_jwt_cert);
    for (const name of ['api_public_cert', 'rdp_public_jwt_cert'] as const)
      openssl(['pkey', '-pubin', '-noout'], keys[name]);
    expect(openssl(['x509', '-noout', '-pubkey'], keys.rdp_signer_cert)).toBe(
      openssl(['pkey', '-pubout'], keys.rdp_private_key),
    );
    const text = openssl(['x509', '-noout', '-text'], keys.rdp_signer_cert);
    expect(text).toContain('Signature Algorithm: sha256WithRSAEncryption');
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    const file = join(folder({ 'cert.pem': keys.rdp_signer_cert }), 'cert.pem');
    expect(openssl(['verify', '-x509_strict', '-CAfile', file, '-partial_chain', file], '')).toContain('OK');
  });

  it('two databases differ in every one', () => {
    for (const name of names) expect(keys[name]).not.toBe(others[name]);
  });
});
