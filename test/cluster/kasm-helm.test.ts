/**
 * Beside Kasm's own chart, as docs/KASM-HELM.md says: examples/kasm-helm with a stand-in for that chart (test/cluster/kasm-helm), whose gates and
 * Jobs are real psql and real Alembic.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Result } from '../../src/output/result.js';
import {
  CHARTS,
  type Ended,
  EXTERNAL,
  EXTERNAL_HOST,
  HELM_TIMEOUT,
  hasHelm4,
  kubectl,
  merge,
  migratorResults,
  namespace,
  psqlExternal,
  run,
  secret,
  until,
} from './cluster.js';
import { externalCa, PASSWORD, printed, rows, SECRETS, seconds, tellAll } from './release.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STAND_IN = join(ROOT, 'test/cluster/kasm-helm');
const EXAMPLES = join(ROOT, 'examples/kasm-helm');
const HELMS = ['helm', ...(hasHelm4 ? ['helm4'] : [])];
const WAYS = ['secret-brought', 'made-by-kasm-db', 'made-by-kasm-helm'] as const;
type Way = (typeof WAYS)[number];

beforeAll(async () => {
  await externalCa();
}, 300_000);
afterAll(async () => {
  if (!process.env.KASM_TEST_KEEP) await kubectl('delete', 'namespace', EXTERNAL, '--ignore-not-found', '--wait=false');
  tellAll();
});

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

  static async in(ns: string, program: string, way: string): Promise<Pair> {
    const pair = new Pair(ns, program, way);
    await namespace(ns);
    await psqlExternal(`DROP DATABASE IF EXISTS ${pair.database} WITH (FORCE)`);
    await psqlExternal(`DROP ROLE IF EXISTS ${pair.database}`);
    if (way === 'secret-brought') {
      await psqlExternal(`CREATE ROLE ${pair.database} LOGIN PASSWORD '${PASSWORD}'`);
      await psqlExternal(`CREATE DATABASE ${pair.database} OWNER ${pair.database}`);
      await secret(ns, 'kasm-credentials', SECRETS);
    } else await secret(ns, 'kasm-database-admin', { username: 'postgres', password: 's3cr3t-of-postgres' });
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

  kasm(verb: 'install' | 'upgrade', more: object = {}, what = "Kasm's"): Promise<Ended> {
    const file = parse(readFileSync(join(EXAMPLES, this.way, 'kasm-helm.yaml'), 'utf8'));
    return this.helm(what, [verb, 'kasm', STAND_IN], merge(merge(file, this.kasmValues()), more));
  }

  /** Both charts in one release. */
  parent(verb: 'install' | 'upgrade', more: object = {}): Promise<Ended> {
    const folder = mkdtempSync(join(tmpdir(), 'kasm-db-parent-'));
    for (const file of ['Chart.yaml', 'values.yaml']) cpSync(join(EXAMPLES, 'parent-chart', file), join(folder, file));
    mkdirSync(join(folder, 'charts'));
    cpSync(STAND_IN, join(folder, 'charts/kasm-helm'), { recursive: true });
    cpSync(join(CHARTS, 'kasm-db'), join(folder, 'charts/kasm-db'), { recursive: true });
    const values = { 'kasm-db': this.kasmDbValues(), 'kasm-helm': this.kasmValues() };
    return this.helm('both', [verb, 'kasm', folder, '--wait'], merge(values, more));
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

  sql = (sql: string) => psqlExternal(sql, this.database);
  /** Everything that a loss would change. */
  users = () => this.sql('SELECT string_agg(username || pw_hash || salt, chr(10) ORDER BY username) FROM users');
  async end(): Promise<void> {
    await kubectl('delete', 'namespace', this.ns, '--wait=false');
  }
}

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

  it("a parent chart: the Job waits for Kasm's Secret, and the API for the Job", async () => {
    const pair = await Pair.in(`kasm-test-${program}-parent`, program, 'parent-chart');
    expect((await pair.parent('install')).code).toBe(0);
    await pair.ready();
    const users = await pair.users();
    expect((await pair.parent('upgrade')).code).toBe(0);
    expect(await pair.users()).toBe(users);
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

  it("what Kasm's initialisation left half-done is told by the Job, and nothing is changed", async () => {
    const pair = await Pair.in(`kasm-test-${program}-half`, program, 'secret-brought');
    await pair.sql(`SET ROLE ${pair.database}; CREATE TABLE settings (setting_id uuid)`);
    expect((await pair.kasmDb('install')).code).not.toBe(0);
    const [result] = (await migratorResults(pair.ns)) as unknown as Result[];
    expect(result?.error?.message).toContain('an initialisation was left half-done');
    expect(result?.error?.hint).toContain('--restart-empty');
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
