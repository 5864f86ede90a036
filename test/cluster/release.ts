/** One release of chart kasm-single-zone through its life, and what all cluster tests tell of it. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';
import {
  apply,
  CHARTS,
  type Ended,
  EXTERNAL,
  EXTERNAL_HOST,
  externalPostgres,
  HELM_TIMEOUT,
  hasHelm4,
  helm,
  kubectl,
  merge,
  must,
  namespace,
  psqlBundled,
  psqlExternal,
  readyPods,
  run,
  secret,
  until,
  values,
} from './cluster.js';

export const PASSWORD = 's3cr3t-of-the-application';
export const SECRETS = {
  'db-password': PASSWORD,
  'admin-password': 's3cr3t-admin',
  'user-password': 's3cr3t-user',
  'manager-token': 's3cr3t-manager',
  'service-token': 's3cr3t-service',
};
/** Programs that are Helm, for describe.each. */
export const HELMS = ['helm', ...(hasHelm4 ? ['helm4'] : [])];

/** What was done, with its time: printed at the end. */
export const rows: string[][] = [['DATABASE', 'FLAGS', 'HELM', 'STEP', 'ENDED', 'TIME']];
/** Everything that was printed, for a look for passwords. */
export const printed: string[] = [];

let authority: Promise<{ ca: string }> | undefined;
/** The CA of the PostgreSQL outside of the releases, which is started for the first who asks. */
export async function externalCa(): Promise<string> {
  authority ??= externalPostgres('s3cr3t-of-postgres');
  return (await authority).ca;
}

/** Around the tests of a file: there is a cluster, and in the end the table is printed and the PostgreSQL outside of the releases goes. */
export function aroundAll(): void {
  beforeAll(async () => {
    await kubectl('version');
  });
  afterAll(async () => {
    if (!process.env.KASM_TEST_KEEP)
      await kubectl('delete', 'namespace', EXTERNAL, '--ignore-not-found', '--wait=false');
    tellAll();
  });
}

/** Prints the table, and looks for passwords in everything that was printed. */
function tellAll(): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  expect(printed.filter((text) => text.includes('s3cr3t-'))).toEqual([]);
}

export const seconds = ({ ms }: { ms: number }) => `${(ms / 1000).toFixed(1)} s`;

/** A namespace with a database of its own on the external server. Answers the values that use it. */
export async function external(name: string): Promise<object> {
  // The server first: it is started for whoever asks first.
  const ca = await externalCa();
  await namespace(name);
  const database = name.replaceAll('-', '_');
  await psqlExternal(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  await psqlExternal(`DROP ROLE IF EXISTS ${database}`);
  await psqlExternal(`CREATE ROLE ${database} LOGIN PASSWORD '${PASSWORD}'`);
  await psqlExternal(`CREATE DATABASE ${database} OWNER ${database}`);
  await secret(name, 'kasm-credentials', SECRETS);
  await apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'db-ca', namespace: name },
    data: { 'ca.crt': ca },
  });
  return {
    credentials: { existingSecret: 'kasm-credentials' },
    database: {
      bundled: false,
      host: EXTERNAL_HOST,
      name: database,
      user: database,
      sslmode: 'verify-full',
      ca: { existingConfigMap: 'db-ca' },
    },
  };
}

export const KINDS = ['bundled', 'external'] as const;
export type Kind = (typeof KINDS)[number];

/** One release through its life, step by step. */
export class Release {
  private constructor(
    readonly ns: string,
    readonly kind: Kind,
    private readonly base: object,
    private readonly flags: string[],
    private readonly program: string,
  ) {}

  static async in(ns: string, kind: Kind, more: object = {}, flags: string[] = [], program = 'helm'): Promise<Release> {
    if (kind === 'bundled') await namespace(ns);
    const database = kind === 'external' ? await external(ns) : {};
    return new Release(ns, kind, merge(database, more), flags, program);
  }

  helm(verb: string, args: string[], tag?: string, more: object = {}, timeout = HELM_TIMEOUT): Promise<Ended> {
    const waits = ['install', 'upgrade', 'rollback'].includes(verb)
      ? ['--wait', '--timeout', timeout, ...(verb === 'rollback' ? [] : this.flags)]
      : [];
    return helm(
      verb,
      [...args, '--namespace', this.ns, ...waits],
      tag ? values(this.ns, tag, merge(this.base, more)) : undefined,
      this.program,
    ).then((ended) => {
      printed.push(ended.stdout, ended.stderr);
      return ended;
    });
  }

  install = (tag: string, more = {}, timeout?: string) =>
    this.helm('install', ['--replace', 'kasmdemo', 'kasm-single-zone'], tag, more, timeout);
  upgrade = (tag: string, more = {}) => this.helm('upgrade', ['kasmdemo', 'kasm-single-zone'], tag, more);

  /** What `helm template` makes of it, without asking the cluster. */
  template = (tag: string) =>
    must(this.program, ['template', 'kasmdemo', 'kasm-single-zone', '--namespace', this.ns, '--values', '-'], {
      cwd: CHARTS,
      input: JSON.stringify(values(this.ns, tag, this.base)),
    });

  sql(sql: string): Promise<string> {
    return this.kind === 'bundled' ? psqlBundled(this.ns, sql) : psqlExternal(sql, this.ns.replaceAll('-', '_'));
  }

  /** Does a step and checks what is there after it; its time goes to the table. */
  async step(
    what: string,
    work: () => Promise<Ended>,
    after: { fails?: RegExp; migrations: number; tag: string },
  ): Promise<Ended> {
    const ended = await work();
    const say = `${this.ns}, ${what}: ${ended.stderr}${ended.stdout}`;
    if (after.fails) {
      expect(ended.code, say).not.toBe(0);
      expect(ended.stderr, say).toMatch(after.fails);
    } else expect(ended.code, say).toBe(0);
    await this.holds(after.migrations, after.tag, say);
    rows.push([this.kind, this.flags.join(' ') || '(none)', this.program, what, 'as it should', seconds(ended)]);
    console.log(rows.at(-1)?.join('  '));
    return ended;
  }

  /** Three API pods of this build serve, and each migration was applied exactly once. */
  async holds(migrations: number, tag: string, say = '', within = 60): Promise<void> {
    const ready = await until(`three API pods of ${tag} serve; ${say}`, within, async () => {
      const all = await readyPods(this.ns, 'kasm-api');
      return all.length >= 3 && all;
    });
    const gates = JSON.parse(await kubectl('-n', this.ns, 'get', 'deployment', 'kasm-api', '-o', 'json'));
    expect(gates.spec.template.spec.initContainers[0].image, say).toBe(`kasm-db:${tag}`);
    expect(ready.length, say).toBeGreaterThanOrEqual(3);
    const history = await this.sql('SELECT count(*), count(DISTINCT name), min(kind) FROM kasm_db.migrations');
    expect(history, say).toBe(`${migrations}|${migrations}|sql`);
    expect(await this.sql('SELECT count(*) FROM zones'), say).toBe('1');
    expect(await this.sql('SELECT count(*) FROM users WHERE pw_hash IS NOT NULL'), say).toBe('2');
  }

  revision = async () =>
    JSON.parse(await must('helm', ['history', 'kasmdemo', '-n', this.ns, '-o', 'json'])).at(-1).revision as number;

  async remove(wait = false): Promise<void> {
    await run('helm', ['uninstall', 'kasmdemo', '-n', this.ns]);
    await kubectl('delete', 'namespace', this.ns, `--wait=${wait}`);
  }
}

export const SCHEMA = readdirSync(`${CHARTS}/../migrations`).filter((file) =>
  /^\d{4}_.*(?<!\.down)\.sql$/.test(file),
).length;
