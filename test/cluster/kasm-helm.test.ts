/**
 * Beside Kasm's own chart, as docs/KASM-HELM.md says: examples/kasm-helm with a stand-in for that chart (test/cluster/kasm-helm), whose gates and
 * Jobs are real psql and real Alembic.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Result } from '../../src/output/result.js';
import {
  CHARTS,
  type Ended,
  EXTERNAL,
  EXTERNAL_HOST,
  HELM_TIMEOUT,
  kubectl,
  merge,
  migratorResults,
  namespace,
  psqlExternal,
  run,
  secret,
  until,
} from './cluster.js';
import { aroundAll, externalCa, HELMS, PASSWORD, printed, rows, SECRETS, seconds } from './release.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STAND_IN = join(ROOT, 'test/cluster/kasm-helm');
const EXAMPLES = join(ROOT, 'examples/kasm-helm');
const WAYS = ['secret-brought', 'made-by-kasm-db', 'made-by-kasm-helm'] as const;
type Way = (typeof WAYS)[number];
const MIGRATIONS = readdirSync(join(ROOT, 'migrations'))
  .filter((file) => /^\d{4}_.*(?<!\.down)\.sql$/.test(file))
  .sort()
  .map((file) => readFileSync(join(ROOT, 'migrations', file), 'utf8'));
const admin = (ns: string) =>
  secret(ns, 'kasm-database-admin', { username: 'postgres', password: 's3cr3t-of-postgres' });
/** Runs in the pod of the external server. */
const onServer = (command: string) => kubectl('-n', EXTERNAL, 'exec', 'deploy/postgres', '--', 'sh', '-ec', command);

beforeAll(async () => {
  await externalCa();
}, 300_000);
aroundAll();

/** Both releases on a database of their own. */
class Pair {
  readonly database: string;
  private constructor(
    readonly ns: string,
    private readonly program: string,
    private readonly way: string,
  ) {
    this.database = ns.replaceAll('-', '_');
  }

  private get bundled(): boolean {
    return this.way === 'bundled-database';
  }

  static async in(ns: string, program: string, way: string, folder = way): Promise<Pair> {
    const pair = new Pair(ns, program, folder);
    await namespace(ns);
    await psqlExternal(`DROP DATABASE IF EXISTS ${pair.database} WITH (FORCE)`);
    await psqlExternal(`DROP ROLE IF EXISTS ${pair.database}`);
    if (way === 'secret-brought') {
      await psqlExternal(`CREATE ROLE ${pair.database} LOGIN PASSWORD '${PASSWORD}'`);
      await psqlExternal(`CREATE DATABASE ${pair.database} OWNER ${pair.database}`);
      await secret(ns, 'kasm-credentials', SECRETS);
    } else await admin(ns);
    return pair;
  }

  private kasmDbValues() {
    return {
      image: { repository: 'kasm-db', tag: '0.1.0' },
      ...(this.bundled ? {} : { database: { host: EXTERNAL_HOST, name: this.database, user: this.database } }),
    };
  }

  private kasmValues() {
    if (this.bundled) return {};
    return { database: { hostname: EXTERNAL_HOST, kasmDbName: this.database, kasmDbUser: this.database } };
  }

  private async helm(what: string, args: string[], values: object): Promise<Ended> {
    const ended = await run(this.program, [...args, '-n', this.ns, '--timeout', HELM_TIMEOUT, '--values', '-'], {
      input: JSON.stringify(values),
      cwd: CHARTS,
    });
    printed.push(ended.stdout, ended.stderr);
    rows.push([this.way, args[0] as string, this.program, what, `exit ${ended.code}`, seconds(ended)]);
    return ended;
  }

  kasmDb(verb: 'install' | 'upgrade', more: object = {}, what = 'kasm-db'): Promise<Ended> {
    const file = parse(readFileSync(join(EXAMPLES, this.way, 'kasm-db.yaml'), 'utf8'));
    return this.helm(
      what,
      [verb, 'kasm-db', 'kasm-db', '--wait', '--wait-for-jobs'],
      merge(merge(file, this.kasmDbValues()), more),
    );
  }

  /** First installation with values of its own, on the same image. */
  kasmDbWith(what: string, values: object): Promise<Ended> {
    const { image } = this.kasmDbValues();
    return this.helm(`kasm-db, ${what}`, ['install', 'kasm-db', 'kasm-db', '--wait'], merge(values, { image }));
  }

  kasm(verb: 'install' | 'upgrade', more: object = {}, what = "Kasm's"): Promise<Ended> {
    const file = parse(readFileSync(join(EXAMPLES, this.way, 'kasm-helm.yaml'), 'utf8'));
    return this.helm(what, [verb, 'kasm', STAND_IN], merge(merge(file, this.kasmValues()), more));
  }

  /** Both charts in one release. */
  parent(verb: 'install' | 'upgrade', more: object = {}, what = 'both'): Promise<Ended> {
    const folder = mkdtempSync(join(tmpdir(), 'kasm-db-parent-'));
    for (const file of ['Chart.yaml', 'values.yaml']) cpSync(join(EXAMPLES, 'parent-chart', file), join(folder, file));
    mkdirSync(join(folder, 'charts'));
    cpSync(STAND_IN, join(folder, 'charts/kasm-helm'), { recursive: true });
    cpSync(join(CHARTS, 'kasm-db'), join(folder, 'charts/kasm-db'), { recursive: true });
    const values = { 'kasm-db': this.kasmDbValues(), 'kasm-helm': this.kasmValues() };
    return this.helm(what, [verb, 'kasm', folder, '--wait'], merge(values, more));
  }

  async ready(): Promise<void> {
    const began = Date.now();
    await kubectl('-n', this.ns, 'rollout', 'status', 'deploy/kasm-api', '--timeout=120s');
    rows.push([this.way, '', this.program, 'API ready', 'yes', `${((Date.now() - began) / 1000).toFixed(1)} s`]);
  }

  async jobDone(name: string): Promise<void> {
    await until(
      `Job ${name}`,
      180,
      async () => (await kubectl('-n', this.ns, 'get', 'job', name, '-o', 'jsonpath={.status.succeeded}')) === '1',
    );
  }

  /** Turns onDemand on and runs one of its commands, as docs/KASM-HELM.md does. */
  async onDemand(name: string, args: string[], more: object = {}): Promise<void> {
    const values = { migrator: { mode: 'manual' }, onDemand: { enabled: true, commands: { [name]: args } } };
    expect((await this.kasmDb('upgrade', merge(values, more), `kasm-db, ${name} on demand`)).code).toBe(0);
    await kubectl('-n', this.ns, 'create', 'job', `--from=cronjob/kasm-db-${name}`, name);
    await this.jobDone(name);
  }

  /** As Kasm's initialisation leaves it: tables, without the last step. */
  async halfDone(tables: number): Promise<void> {
    if (tables === 1) await this.sql(`SET ROLE ${this.database}; CREATE TABLE settings (setting_id uuid)`);
    else {
      await this.sql('CREATE EXTENSION "uuid-ossp"');
      for (const file of MIGRATIONS) await this.sql(`SET ROLE ${this.database}; ${file}`);
      await this.sql(`SET ROLE ${this.database}; DROP TABLE alembic_version`);
      const names = (
        await this.sql(
          "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'settings' ORDER BY 1",
        )
      ).split('\n');
      if (tables <= names.length) await this.sql(`DROP TABLE ${names.slice(tables - 1).join(', ')} CASCADE`);
    }
    expect(await this.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).toBe(`${tables}`);
  }

  sql = (sql: string) => psqlExternal(sql, this.database);
  /** Everything that a loss would change. */
  users = () => this.sql('SELECT string_agg(username || pw_hash || salt, chr(10) ORDER BY username) FROM users');
  async end(): Promise<void> {
    await kubectl('delete', 'namespace', this.ns, '--wait=false');
  }
}

/** Values over those of examples/kasm-helm/parent-chart, by who makes the Secret. */
const PARENT_SECRETS: Record<Way, object> = {
  'made-by-kasm-helm': {},
  'secret-brought': {
    'kasm-helm': secretOf('kasm-credentials'),
    'kasm-db': { credentials: { existingSecret: 'kasm-credentials' }, bootstrap: { enabled: false } },
  },
  'made-by-kasm-db': {
    'kasm-helm': secretOf('kasm-credentials'),
    'kasm-db': { credentials: { existingSecret: '', makeDatabasePassword: true } },
  },
};
function secretOf(name: string) {
  return { kasmSecrets: { create: false, name }, database: { kasmDbSecret: { name, key: 'db-password' } } };
}

/** Secrets of the form that PostgreSQL's operators write; the values files are those of chart/kasm-db/ci. */
type Operator = (
  pair: { database: string },
  ca: string,
) => { secrets: Record<string, Record<string, string>>; kasmDb: object; password: { name: string; key: string } };
const { 'db-password': _, ...TOKENS } = SECRETS;
const credentials = { 'kasm-credentials': TOKENS };
const OPERATORS: Record<string, Operator> = {
  cloudnativepg: ({ database }, ca) => ({
    secrets: {
      ...credentials,
      'kasm-pg-app': {
        ...{
          username: database,
          user: database,
          password: PASSWORD,
          dbname: database,
          host: EXTERNAL_HOST,
          port: '5432',
        },
        uri: `postgresql://${database}:${PASSWORD}@${EXTERNAL_HOST}:5432/${database}`,
        'jdbc-uri': `jdbc:postgresql://${EXTERNAL_HOST}:5432/${database}?password=${PASSWORD}&user=${database}`,
        pgpass: `${EXTERNAL_HOST}:5432:${database}:${database}:${PASSWORD}\n`,
      },
      'kasm-pg-ca': { 'ca.crt': ca, 'ca.key': 'not for us' },
    },
    kasmDb: {},
    password: { name: 'kasm-pg-app', key: 'password' },
  }),
  crunchy: ({ database }, ca) => ({
    secrets: {
      ...credentials,
      'hippo-pguser-kasmapp': {
        ...{ host: EXTERNAL_HOST, port: '5432', 'pgbouncer-host': EXTERNAL_HOST, 'pgbouncer-port': '5432' },
        ...{ dbname: database, user: database, password: PASSWORD, verifier: 'SCRAM-SHA-256$4096:x$y:z' },
        uri: `postgresql://${database}:${PASSWORD}@${EXTERNAL_HOST}:5432/${database}`,
      },
      'hippo-cluster-cert': { 'ca.crt': ca, 'tls.crt': 'not for us', 'tls.key': 'not for us' },
    },
    kasmDb: {},
    password: { name: 'hippo-pguser-kasmapp', key: 'password' },
  }),
  zalando: ({ database }) => ({
    secrets: {
      ...credentials,
      'kasmapp.kasm-pg.credentials.postgresql.acid.zalan.do': { username: database, password: PASSWORD },
    },
    kasmDb: { database: { host: EXTERNAL_HOST, name: database } },
    password: { name: 'kasmapp.kasm-pg.credentials.postgresql.acid.zalan.do', key: 'password' },
  }),
  'external-secrets': ({ database }, ca) => ({
    secrets: {
      'kasm-database': { host: EXTERNAL_HOST, dbname: database, username: database, password: PASSWORD },
      'kasm-database-ca': { 'tls-ca.pem': ca },
      'kasm-vault': { admin: 's3cr3t-a', user: 's3cr3t-u', manager: 's3cr3t-m', service: 's3cr3t-s' },
    },
    kasmDb: {},
    password: { name: 'kasm-database', key: 'password' },
  }),
};

describe.each(HELMS)('%s', (program) => {
  it.each(WAYS)('%s: install, upgrade, rotate, init left on, upgrade by Kasm: no row lost', async (way: Way) => {
    const pair = await Pair.in(`kasm-test-${program}-${way.slice(0, 14)}`, program, way);
    if (way === 'made-by-kasm-helm') expect((await pair.kasm('install')).code).toBe(0);
    expect((await pair.kasmDb('install')).code).toBe(0);
    if (way !== 'made-by-kasm-helm') expect((await pair.kasm('install')).code).toBe(0);
    await pair.ready();
    const users = await pair.users();

    expect((await pair.kasmDb('upgrade', { migrator: { mode: 'job' } }, 'kasm-db as a Job')).code).toBe(0);
    expect((await pair.kasm('upgrade', { dbManagement: { initialize: true } }, "Kasm's with its init Job")).code).toBe(
      0,
    );
    await pair.jobDone('kasm-db-init');
    expect(await pair.users()).toBe(users);

    if (way === 'secret-brought') {
      await secret(pair.ns, 'kasm-credentials', {
        ...SECRETS,
        'admin-password': 's3cr3t-new',
        'service-token': 's3cr3t-token',
      });
      const rotate = { seed: { rotate: ['admin-password', 'service-token'] } };
      expect((await pair.kasmDb('upgrade', rotate, 'rotate')).code).toBe(0);
      expect(await pair.sql("SELECT value FROM settings WHERE name = 'registration_token'")).toBe('s3cr3t-token');
      expect(await pair.users()).not.toBe(users);
    }
    const before = await pair.users();
    const upgrade = { initialize: false, upgrade: { enable: true, skipBackupAndRestore: true, major: 15 } };
    expect(
      (await pair.kasm('upgrade', { useImageTags: '1.20.0', dbManagement: upgrade }, "Kasm's next release")).code,
    ).toBe(0);
    await pair.jobDone('kasm-db-upgrade');
    await pair.ready();
    expect(await pair.sql('SELECT version_num FROM alembic_version')).toBe('0123456789ab');
    expect((await pair.kasmDb('upgrade', {}, "kasm-db after Kasm's upgrade")).code).toBe(0);
    expect(await pair.users()).toBe(before);
    await pair.end();
  }, 600_000);

  it.each(WAYS)('%s: installed by a plain Job, upgraded by a hook', async (way: Way) => {
    const pair = await Pair.in(`kasm-test-${program}-job-${way.slice(0, 12)}`, program, way);
    if (way === 'made-by-kasm-helm') expect((await pair.kasm('install')).code).toBe(0);
    expect((await pair.kasmDb('install', { migrator: { mode: 'job' } }, 'kasm-db as a Job')).code).toBe(0);
    if (way !== 'made-by-kasm-helm') expect((await pair.kasm('install')).code).toBe(0);
    await pair.ready();
    const users = await pair.users();
    expect((await pair.kasmDb('upgrade')).code).toBe(0);
    expect(await pair.users()).toBe(users);
    await pair.end();
  }, 600_000);

  it.each(WAYS.flatMap((way) => (['hook', 'job'] as const).map((mode) => [way, mode] as const)))(
    'a parent chart, %s, %s: the Job comes after the Secret, and the API after the Job',
    async (way, mode) => {
      const pair = await Pair.in(`kasm-test-${program}-p-${mode}-${way.slice(0, 12)}`, program, way, 'parent-chart');
      const values = merge(PARENT_SECRETS[way], { 'kasm-db': { migrator: { mode } } });
      expect((await pair.parent('install', values, `both, ${way}, ${mode}`)).code).toBe(0);
      await pair.ready();
      const users = await pair.users();
      expect((await pair.parent('upgrade', values, `both, ${way}, ${mode}`)).code).toBe(0);
      expect(await pair.users()).toBe(users);
      await pair.end();
    },
    600_000,
  );

  it('a restore: the upgrade refuses the new, empty database, and takes the restored one', async () => {
    const pair = await Pair.in(`kasm-test-${program}-restore`, program, 'secret-brought');
    expect((await pair.kasmDb('install')).code).toBe(0);
    expect((await pair.kasm('install')).code).toBe(0);
    await pair.ready();
    await pair.sql("UPDATE users SET first_name = 'kept' WHERE username = 'admin@kasm.local'");
    const users = await pair.users();
    const { database } = pair;
    await onServer(`pg_dump -h 127.0.0.1 -U postgres --format=custom -f /tmp/${database}.dump ${database}`);
    await psqlExternal(`DROP DATABASE ${database} WITH (FORCE)`);
    await psqlExternal(`CREATE DATABASE ${database} OWNER ${database}`);
    expect((await pair.kasmDb('upgrade', {}, 'kasm-db, before the restore')).code).not.toBe(0);
    await onServer(`pg_restore -h 127.0.0.1 -U postgres -d ${database} /tmp/${database}.dump`);
    expect((await pair.kasmDb('upgrade', {}, 'kasm-db, after the restore')).code).toBe(0);
    await kubectl('-n', pair.ns, 'rollout', 'restart', 'deploy/kasm-api');
    await pair.ready();
    expect(await pair.users()).toBe(users);
    expect(await pair.sql("SELECT first_name FROM users WHERE username = 'admin@kasm.local'")).toBe('kept');
    await pair.end();
  }, 600_000);

  it("the database's password, rotated inside of the cluster with the admin login", async () => {
    const pair = await Pair.in(`kasm-test-${program}-dbpw`, program, 'made-by-kasm-db');
    expect((await pair.kasmDb('install')).code).toBe(0);
    expect((await pair.kasm('install')).code).toBe(0);
    await pair.ready();
    const verifier = () => psqlExternal(`SELECT rolpassword FROM pg_authid WHERE rolname = '${pair.database}'`);
    const before = await verifier();
    const password = Buffer.from('s3cr3t-of-the-next-year').toString('base64');
    await kubectl(
      '-n',
      pair.ns,
      'patch',
      'secret',
      'kasm-db-credentials',
      '-p',
      `{"data": {"db-password": "${password}"}}`,
    );
    await pair.onDemand('rotate', ['seed', '--rotate', 'db-password']);
    expect(await verifier()).not.toBe(before);
    expect((await pair.kasmDb('upgrade', {}, 'kasm-db, new password')).code).toBe(0);
    await kubectl('-n', pair.ns, 'rollout', 'restart', 'deploy/kasm-api');
    await pair.ready();
    await pair.end();
  }, 600_000);

  it("a database that Kasm's chart has made is adopted, and keeps its rows", async () => {
    const pair = await Pair.in(`kasm-test-${program}-adopt`, program, 'secret-brought');
    expect((await pair.kasm('install', { dbManagement: { initialize: true } })).code).toBe(0);
    await pair.jobDone('kasm-db-init');
    const users = await pair.users();
    const manual = { migrator: { mode: 'manual' } };
    expect((await pair.kasmDb('install', manual, 'kasm-db, manual')).code).toBe(0);
    await pair.onDemand('adopt', ['adopt']);
    expect((await pair.kasmDb('upgrade')).code).toBe(0);
    expect((await pair.kasm('upgrade')).code).toBe(0);
    await pair.ready();
    expect(await pair.users()).toBe(users);
    expect(await pair.sql('SELECT DISTINCT kind FROM kasm_db.migrations')).toBe('adopted');
    await pair.end();
  }, 600_000);

  it.each(Object.keys(OPERATORS))('the Secret that %s writes', async (operator) => {
    const pair = await Pair.in(`kasm-test-${program}-${operator.slice(0, 10)}`, program, 'secret-brought');
    const { secrets, ...values } = (OPERATORS[operator] as Operator)(pair, await externalCa());
    for (const [name, data] of Object.entries(secrets)) await secret(pair.ns, name, data);
    const file = parse(readFileSync(join(CHARTS, 'kasm-db/ci', `${operator}-values.yaml`), 'utf8'));
    expect((await pair.kasmDbWith(operator, merge(file, values.kasmDb))).code).toBe(0);
    expect((await pair.kasm('install', { database: { kasmDbSecret: values.password } })).code).toBe(0);
    await pair.ready();
    await pair.end();
  }, 600_000);

  it("an upgrade finds a new, empty database: kasm-db's Job ends with 6 and makes nothing", async () => {
    const pair = await Pair.in(`kasm-test-${program}-empty`, program, 'secret-brought');
    expect((await pair.kasmDb('install')).code).toBe(0);
    await psqlExternal(`DROP DATABASE ${pair.database} WITH (FORCE)`);
    await psqlExternal(`CREATE DATABASE ${pair.database} OWNER ${pair.database}`);
    expect((await pair.kasmDb('upgrade')).code).not.toBe(0);
    expect(await pair.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'kasm_db'")).toBe('0');
    await pair.end();
  }, 600_000);

  it.each([1, 37, 77])('%i tables that Kasm left half-done: told by the Job, and the way out', async (tables) => {
    const pair = await Pair.in(`kasm-test-${program}-half${tables}`, program, 'secret-brought');
    await pair.halfDone(tables);
    expect((await pair.kasmDb('install', {}, `kasm-db, ${tables} tables half-done`)).code).not.toBe(0);
    const [result] = (await migratorResults(pair.ns)) as unknown as Result[];
    expect(result?.error?.message).toContain(`${tables} of 78 tables are there`);
    expect(result?.error?.message).toContain('an initialisation was left half-done');
    expect(result?.error?.hint).toContain(tables === 77 ? 'kasm-db adopt' : 'kasm-db repair --restart-empty');
    if (tables === 77) await pair.onDemand('adopt', ['adopt']);
    else await pair.onDemand('restart', ['repair', '--restart-empty', '--yes']);
    const more = tables === 77 ? {} : { migrator: { initializeOnUpgrade: true } };
    expect((await pair.kasmDb('upgrade', more)).code).toBe(0);
    expect((await pair.kasm('install')).code).toBe(0);
    await pair.ready();
    expect(await pair.sql('SELECT count(*) FROM users WHERE pw_hash IS NOT NULL')).toBe('2');
    await pair.end();
  }, 600_000);

  it('its bundled database: each release a new one, filled from the dump, while kasm-db is off', async () => {
    const pair = await Pair.in(`kasm-test-${program}-bundled`, program, 'bundled-database');
    const sql = (release: string, text: string) =>
      kubectl(
        '-n',
        pair.ns,
        'exec',
        `kasm-db-${release}-0`,
        '--',
        'psql',
        '-h',
        '/tmp',
        '-U',
        'postgres',
        '-XAtc',
        text,
        'kasm',
      );
    const dump = { upgrade: { enable: false, skipBackupAndRestore: false, major: 15 } };
    expect((await pair.kasm('install', { dbManagement: dump }, 'bundled')).code).toBe(0);
    await pair.ready();
    expect((await pair.kasmDb('install', {}, 'kasm-db, manual')).code).toBe(0);
    const users = await sql('1-19-0', 'SELECT count(*) FROM users');
    const next = { initialize: false, upgrade: { ...dump.upgrade, enable: true } };
    const upgraded = await pair.kasm(
      'upgrade',
      { useImageTags: '1.20.0', dbManagement: next },
      'bundled, next release',
    );
    expect(upgraded.code, upgraded.stderr).toBe(0);
    await pair.jobDone('kasm-db-upgrade');
    await pair.ready();
    expect(await sql('1-20-0', 'SELECT count(*) FROM users')).toBe(users);
    await pair.end();
  }, 600_000);

  it("Kasm's init and kasm-db at once on an empty database: ready, or told as half-done", async () => {
    const pair = await Pair.in(`kasm-test-${program}-race`, program, 'secret-brought');
    const [kasm, kasmDb] = await Promise.all([
      pair.kasm('install', { dbManagement: { initialize: true } }),
      pair.kasmDb('install', { migrator: { activeDeadlineSeconds: 90, backoffLimit: 0 } }),
    ]);
    expect(kasm.code).toBe(0);
    if (kasmDb.code === 0) await pair.ready();
    else
      expect(
        kasmDb.stdout +
          kasmDb.stderr +
          (await kubectl('-n', pair.ns, 'logs', '-l', 'app.kubernetes.io/component=migrator', '--tail=-1')),
      ).toMatch(/already has tables of Kasm/);
    await pair.end();
  }, 600_000);
});
