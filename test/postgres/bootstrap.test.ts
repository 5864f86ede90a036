import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg, { escapeLiteral, escapeIdentifier as id } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { KasmDbError } from '../../src/app/errors.js';
import { adminSettings } from '../../src/bootstrap/admin.js';
import { type BootstrapOptions, bootstrap } from '../../src/bootstrap/bootstrap.js';
import { rotateDatabasePassword, scramVerifier } from '../../src/bootstrap/password.js';
import { planBootstrap, type Wanted } from '../../src/bootstrap/plan.js';
import type { RoleState, ServerState } from '../../src/bootstrap/state.js';
import { type BootstrapCommandOptions, bootstrapCommand } from '../../src/commands/bootstrap.js';
import type { CommandContext } from '../../src/commands/command.js';
import { runCommand } from '../../src/commands/run-command.js';
import { resolveSettings } from '../../src/config/settings.js';
import { CREATE_TABLES_SQL } from '../../src/history/tables.js';
import type { Result } from '../../src/output/result.js';
import { resultSchema } from '../../src/output/schema.js';
import { style } from '../../src/output/terminal.js';
import { Session } from '../../src/postgres/session.js';
import { answers } from '../support/answers.js';
import { cli } from '../support/cli.js';
import { type Version, waitFor } from '../support/database.js';
import { SECRET_MARK, type ServerInfo } from '../support/global-setup.js';
import { hasPgbouncer, startBefore } from '../support/pgbouncer.js';
import { startTestServer } from '../support/server.js';

const SUPERUSER = 'superuser';
const LIMITED = 'CREATEROLE and CREATEDB only';
type Kind = typeof SUPERUSER | typeof LIMITED;

const secret = () => `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
const unique = (name: string) => `${name}_${randomBytes(4).toString('hex')}`;

/** An admin of its own on a server, and names that are free there. */
class Site {
  readonly admin = unique('admin');
  readonly adminPassword = secret();
  readonly app: string;
  readonly appPassword = secret();
  readonly gate: string;
  readonly gatePassword = secret();
  readonly database: string;

  private constructor(
    readonly server: ServerInfo,
    decorate: (name: string) => string,
  ) {
    this.app = decorate(unique('app'));
    this.gate = decorate(unique('gate'));
    this.database = decorate(unique('db'));
  }

  static async make(server: ServerInfo | undefined, kind: Kind, decorate = (name: string) => name): Promise<Site> {
    const site = new Site(server as ServerInfo, decorate);
    await site.super(
      `CREATE ROLE ${id(site.admin)} LOGIN ${kind === SUPERUSER ? 'SUPERUSER' : 'CREATEROLE CREATEDB'} PASSWORD '${scramVerifier(site.adminPassword)}'`,
    );
    return site;
  }

  async client(user: string, password: string, database: string): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.server.port, user, password, database, ssl: false });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async as(user: string, password: string, database: string, sql: string): Promise<pg.QueryResult['rows']> {
    const client = await this.client(user, password, database);
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  super = (sql: string, database = 'postgres') => this.as('postgres', this.server.password, database, sql);
  asAdmin = (sql: string, database = 'postgres') => this.as(this.admin, this.adminPassword, database, sql);
  asApp = (sql: string) => this.as(this.app, this.appPassword, this.database, sql);

  login(user: string, password: string): Record<string, string> {
    return {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(this.server.port),
      POSTGRES_DB: this.database,
      POSTGRES_USER: user,
      POSTGRES_PASSWORD: password,
    };
  }

  get env(): Record<string, string> {
    return {
      ...this.login(this.app, this.appPassword),
      DATABASE_MASTER_USER: this.admin,
      DATABASE_MASTER_PASSWORD: this.adminPassword,
      KASM_DB_GATE_PASSWORD: this.gatePassword,
    };
  }

  /** What the command line would make of it. */
  async run(options: Partial<BootstrapCommandOptions> = {}): Promise<{ result: Result; text: string }> {
    const env = options.env ?? this.env;
    const events: string[] = [];
    const tell = (text: unknown) => void events.push(JSON.stringify(text));
    const { result, text } = await runCommand(
      {
        command: 'bootstrap',
        options: {},
        env,
        signal: new AbortController().signal,
        events: { progress: tell, warning: tell, notice: tell, retryConnect: (e) => tell(e.message) },
        writes: true,
      },
      (ctx: CommandContext) => bootstrapCommand(ctx, { ...options, env }),
    );
    const output = text?.(style(false)) ?? '';
    resultSchema.parse(JSON.parse(JSON.stringify(result)));
    for (const said of [output, JSON.stringify(result), ...events]) expect(said).not.toContain(SECRET_MARK);
    expect(output).not.toContain('SCRAM-SHA-256$');
    expect(JSON.stringify(result)).not.toContain('SCRAM-SHA-256$');
    return { result, text: output };
  }

  async ok(options: Partial<BootstrapCommandOptions> = {}): Promise<string> {
    const { result, text } = await this.run(options);
    expect(result.error).toBeUndefined();
    return text;
  }

  /** The steps by name, called as a function. */
  async steps(options: Partial<BootstrapOptions> = {}): Promise<Record<string, string>> {
    const signal = new AbortController().signal;
    const resolve = () => resolveSettings({}, options.env ?? this.env, { direct: true });
    const { steps } = await bootstrap({ resolve, signal, events: {} }, { env: this.env, ...options });
    return Object.fromEntries(steps.map((step) => [step.what, step.state]));
  }

  /** Everything of roles, memberships, databases and the target's catalog that bootstrap could change. */
  async snapshot(): Promise<string> {
    const own = `(rolname IN (${[this.admin, this.app, this.gate].map(escapeLiteral).join()}))`;
    const rows: unknown[] = [
      await this.super(`SELECT * FROM pg_authid WHERE ${own} ORDER BY rolname`),
      await this.super(`SELECT m.*, roleid::regrole::text AS role, member::regrole::text AS member FROM pg_auth_members m
        WHERE m.member IN (SELECT oid FROM pg_authid WHERE ${own}) OR m.roleid IN (SELECT oid FROM pg_authid WHERE ${own}) ORDER BY m.roleid, m.member, m.grantor`),
      await this.super(
        `SELECT datname, datdba, datacl FROM pg_database WHERE datname = ${escapeLiteral(this.database)}`,
      ),
    ];
    if ((rows[2] as unknown[]).length > 0) {
      rows.push(
        await this.super('SELECT nspname, nspowner, nspacl FROM pg_namespace ORDER BY 1', this.database),
        await this.super(
          `SELECT oid, relname, relowner, relacl FROM pg_class WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace) ORDER BY 1`,
          this.database,
        ),
        await this.super('SELECT extname, extowner FROM pg_extension ORDER BY 1', this.database),
        await this.super('SELECT * FROM pg_default_acl', this.database),
      );
    }
    return JSON.stringify(rows);
  }
}

const failure = async (work: Promise<{ result: Result }>) => {
  const { result } = await work;
  return { exitCode: result.exitCode, ...result.error } as { exitCode: number } & NonNullable<Result['error']>;
};

const versions: Version[] = [13, 15, 16, 18];
const kinds: Kind[] = [SUPERUSER, LIMITED];

function adminSession(s: Site): Promise<Session> {
  const env = { ...s.login(s.admin, s.adminPassword), POSTGRES_DB: 'postgres' };
  return Session.open({
    resolve: () => resolveSettings({}, env, { direct: true }),
    signal: new AbortController().signal,
    events: {},
  });
}

describe.each(
  versions.flatMap((version) => kinds.map((kind) => [version, kind] as const)),
)('bootstrap › PostgreSQL %i, admin is %s', (version, kind) => {
  const site = (decorate?: (name: string) => string) => Site.make(inject('servers')[version], kind, decorate);

  it('from nothing: a database in which migrate works; again: nothing to do', async () => {
    const s = await site();
    const text = await s.ok({ gateRole: s.gate });
    expect(text).toMatch(new RegExp(`role ${s.app} +made`));
    expect(text).toMatch(new RegExp(`database ${s.database} +made`));
    expect(
      await s.super(
        `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding,
          (SELECT extowner::regrole::text FROM pg_extension WHERE extname = 'uuid-ossp') AS extension,
          (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'kasm_db') AS history,
          (SELECT json_agg(DISTINCT tableowner) FROM pg_tables WHERE schemaname = 'kasm_db') AS tables
          FROM pg_database WHERE datname = current_database()`,
        s.database,
      ),
    ).toEqual([{ owner: s.app, encoding: 'UTF8', extension: s.app, history: s.app, tables: [s.app] }]);
    const [role] = await s.super(`SELECT * FROM pg_authid WHERE rolname = '${s.app}'`);
    expect(role).toMatchObject({
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      rolbypassrls: false,
      rolcanlogin: true,
      rolconnlimit: -1,
      rolpassword: expect.stringMatching(/^SCRAM-SHA-256\$4096:/),
    });

    const migrate = await cli(['migrate'], s.login(s.app, s.appPassword));
    expect(migrate.code, migrate.stderr).toBe(0);
    const before = await s.snapshot();
    const again = await s.ok({ gateRole: s.gate });
    expect(again).toContain('Nothing to do.');
    expect(again).not.toMatch(/ made$/m);
    expect(await s.snapshot()).toBe(before);
    // Without a gate there is nothing else to do either, and no password is needed any more.
    const { POSTGRES_PASSWORD: _a, KASM_DB_GATE_PASSWORD: _g, ...env } = s.env;
    expect(await s.ok({ env, gateRole: s.gate })).toContain('Nothing to do.');
  });

  it('--gate-role: it can check and read nothing else', async () => {
    const s = await site();
    await s.ok();
    // A gate that comes later gets its grants too.
    expect(await s.steps({ gateRole: s.gate })).toMatchObject({
      [`role ${s.gate}`]: 'done',
      [`role ${s.app}`]: 'there',
      [`SELECT of ${s.gate} on the history`]: 'done',
    });
    const gate = s.login(s.gate, s.gatePassword);
    const pending = await cli(['check'], gate);
    expect(pending.code, pending.stderr).toBe(3);
    const migrate = await cli(['migrate'], s.login(s.app, s.appPassword));
    expect(migrate.code, migrate.stderr).toBe(0);
    await s.asApp('CREATE TABLE kasm_db.seeds (x text)');
    const check = await cli(['check'], gate);
    expect(check.code, check.stderr).toBe(0);

    const asGate = (sql: string) => s.as(s.gate, s.gatePassword, s.database, sql);
    const readable = `SELECT c.oid::regclass::text AS t FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'kasm_db') AND c.relkind IN ('r', 'p', 'v', 'm')
        AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')) ORDER BY 1`;
    expect((await asGate(readable)).map(({ t }) => t)).toEqual(['kasm_db.migrations', 'kasm_db.run']);
    await expect(asGate('SELECT * FROM public.users')).rejects.toMatchObject({ code: '42501' });
    await expect(asGate('SELECT * FROM kasm_db.seeds')).rejects.toMatchObject({ code: '42501' });
    await expect(asGate('DELETE FROM kasm_db.migrations')).rejects.toMatchObject({ code: '42501' });
    await expect(asGate('CREATE TABLE kasm_db.x ()')).rejects.toMatchObject({ code: '42501' });
    const [role] = await s.super(`SELECT rolconnlimit, rolsuper OR rolcreaterole OR rolcreatedb AS powers,
        EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid) AS member FROM pg_authid r WHERE rolname = '${s.gate}'`);
    expect(role).toEqual({ rolconnlimit: 20, powers: false, member: false });
  });

  it('an existing role keeps its password, attributes and memberships', async () => {
    const s = await site();
    const other = unique('group');
    await s.asAdmin(`CREATE ROLE ${other} NOLOGIN`);
    await s.asAdmin(
      `CREATE ROLE ${s.app} LOGIN CONNECTION LIMIT 7 VALID UNTIL '2100-01-01' PASSWORD '${s.appPassword}' IN ROLE ${other}`,
    );
    await s.asAdmin(`ALTER ROLE ${s.app} SET work_mem = '8MB'`);
    await s.asAdmin(`CREATE ROLE ${s.gate} LOGIN PASSWORD '${s.gatePassword}'`);
    const roles = () =>
      s.super(`SELECT r.*, (SELECT json_agg(s.setconfig) FROM pg_db_role_setting s WHERE s.setrole = r.oid) AS settings,
          (SELECT json_agg(roleid::regrole::text) FROM pg_auth_members WHERE member = r.oid) AS memberships
          FROM pg_authid r WHERE rolname IN ('${s.app}', '${s.gate}') ORDER BY rolname`);
    const before = await roles();
    const text = await s.ok({ gateRole: s.gate, env: { ...s.env, POSTGRES_PASSWORD: secret() } });
    expect(text).toMatch(new RegExp(`role ${s.app} +already there`));
    expect(await roles()).toEqual(before);
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });

  it('--dry-run prints the SQL without passwords and changes nothing; run by hand, it leaves nothing to do', async () => {
    const s = await site();
    const before = await s.snapshot();
    const sql = await s.ok({ dryRun: true, gateRole: s.gate });
    expect(await s.snapshot()).toBe(before);
    expect(sql).toContain(`CREATE ROLE "${s.app}" LOGIN PASSWORD '<hidden>';`);
    expect(sql).toContain(`CREATE DATABASE "${s.database}" OWNER "${s.app}"`);
    expect(sql).toContain('CREATE TABLE IF NOT EXISTS kasm_db.migrations');
    const [maintenance, target] = sql.split(`-- in database ${s.database}\n`) as [string, string];
    for (const statement of maintenance.replace('-- in database postgres\n', '').split(/;$/m)) {
      if (statement.trim()) await s.asAdmin(statement.replace('<hidden>', s.appPassword));
    }
    await s.asAdmin(target, s.database);
    expect(await s.ok({ dryRun: true, gateRole: s.gate })).toContain('Nothing to do.');
    expect(await s.ok({ gateRole: s.gate })).not.toMatch(/ made$/m);
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });

  it('eight at once: one of everything, no error', async () => {
    const s = await site();
    const runs = await Promise.all(Array.from({ length: 8 }, () => s.steps({ gateRole: s.gate })));
    for (const [what, state] of Object.entries(runs[0] as Record<string, string>)) {
      if (state === 'there' && runs.every((run) => run[what] === 'there')) throw new Error(`nobody made ${what}`);
      expect(
        runs.filter((run) => run[what] === 'done'),
        what,
      ).toHaveLength(1);
    }
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
    expect(
      await s.super(`SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND pid IN
          (SELECT pid FROM pg_stat_activity WHERE usename = '${s.admin}')`),
    ).toEqual([{ n: 0 }]);
  });

  it.skipIf(kind === SUPERUSER)('names with spaces, quotes, capitals, Unicode, a backslash and a dollar', async () => {
    const s = await site((name) => `My "${name}" it's 数据 A\\B$1 Kä`);
    await s.ok({ gateRole: s.gate });
    const migrate = await cli(['migrate'], s.login(s.app, s.appPassword));
    expect(migrate.code, migrate.stderr).toBe(0);
    expect((await cli(['check'], s.login(s.gate, s.gatePassword))).code).toBe(0);
    expect(await s.ok({ gateRole: s.gate })).toContain('Nothing to do.');
  });

  it('a database that belongs to the admin: keeps its owner, the application gets what it needs', async () => {
    const s = await site();
    await s.asAdmin(`CREATE DATABASE ${s.database}`);
    await s.asAdmin(`REVOKE ALL ON DATABASE ${s.database} FROM PUBLIC`);
    if (version < 15) await s.super('REVOKE CREATE ON SCHEMA public FROM PUBLIC', s.database);
    if (version < 15) await s.super(`ALTER SCHEMA public OWNER TO ${s.admin}`, s.database);
    await s.ok({ gateRole: s.gate });
    expect(
      await s.super(`SELECT datdba::regrole::text AS owner FROM pg_database WHERE datname = '${s.database}'`),
    ).toEqual([{ owner: s.admin }]);
    expect(await s.super(`SELECT has_database_privilege('${s.app}', '${s.database}', 'CREATE') AS create`)).toEqual([
      { create: false },
    ]);
    const migrate = await cli(['migrate'], s.login(s.app, s.appPassword));
    expect(migrate.code, migrate.stderr).toBe(0);
    expect((await cli(['check'], s.login(s.gate, s.gatePassword))).code).toBe(0);
    expect(await s.ok({ gateRole: s.gate })).toContain('Nothing to do.');
  });

  it.skipIf(kind === SUPERUSER)('KASM_DB_ROLE: that role owns everything, the login is its member', async () => {
    const s = await site();
    const owner = unique('owner');
    const env = { ...s.env, KASM_DB_ROLE: owner };
    await s.ok({ env, gateRole: s.gate });
    expect(
      await s.super(`SELECT datdba::regrole::text AS owner, (SELECT rolcanlogin FROM pg_roles WHERE rolname = '${owner}') AS login
          FROM pg_database WHERE datname = '${s.database}'`),
    ).toEqual([{ owner, login: false }]);
    const migrate = await cli(['migrate'], { ...s.login(s.app, s.appPassword), KASM_DB_ROLE: owner });
    expect(migrate.code, migrate.stderr).toBe(0);
    expect(
      await s.super("SELECT DISTINCT tableowner AS o FROM pg_tables WHERE schemaname = 'public'", s.database),
    ).toEqual([{ o: owner }]);
    expect((await cli(['check'], s.login(s.gate, s.gatePassword))).code).toBe(0);
    expect(await s.ok({ env, gateRole: s.gate })).toContain('Nothing to do.');

    // A login that was there before is not made a member of anything.
    const stranger = unique('login');
    await s.asAdmin(`CREATE ROLE ${stranger} LOGIN`);
    const refused = await failure(s.run({ env: { ...env, POSTGRES_USER: stranger } }));
    expect(refused).toMatchObject({ exitCode: 9, statement: `GRANT "${owner}" TO "${stranger}"` });
  });

  it.skipIf(kind === SUPERUSER)('settings of the admin role and of the database do not get in the way', async () => {
    const s = await site();
    for (const setting of [
      'default_transaction_read_only = on',
      "statement_timeout = '50ms'",
      'search_path = nowhere',
    ]) {
      await s.super(`ALTER ROLE ${s.admin} SET ${setting}`);
    }
    await s.ok({ gateRole: s.gate });
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });

  it('rotateDatabasePassword: the new password logs in, the old one does not', async () => {
    const s = await site();
    await s.ok();
    const admin = await adminSession(s);
    const fresh = `${secret()} Pa\u0308ss ﬁ'\\`;
    await rotateDatabasePassword(admin, s.app, fresh);
    await admin.end();
    await expect(s.asApp('SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(await s.as(s.app, fresh, s.database, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });
});

describe.each(versions)('bootstrap › PostgreSQL %i › a role that another admin made', (version) => {
  it('exit 9 with the statement, nothing made; after the statement it works', async () => {
    const s = await Site.make(inject('servers')[version], LIMITED);
    // Before 16, CREATEROLE may grant every role but a superuser.
    await s.super(`CREATE ROLE ${s.app} LOGIN ${version < 16 ? 'SUPERUSER' : ''} PASSWORD '${s.appPassword}'`);
    const before = await s.snapshot();
    const refused = await failure(s.run());
    expect(refused.exitCode).toBe(9);
    expect(refused.statement).toBe(
      `GRANT "${s.app}" TO "${s.admin}"${version < 16 ? '' : ' WITH INHERIT FALSE, SET TRUE'}`,
    );
    expect(refused.hint).toContain(refused.statement);
    expect((await failure(s.run({ dryRun: true }))).exitCode).toBe(9);
    expect(await s.snapshot()).toBe(before);
    await s.super(refused.statement as string);
    await s.ok();
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });

  it.skipIf(version >= 16)('before 16, CREATEROLE is enough for an ordinary role', async () => {
    const s = await Site.make(inject('servers')[version], LIMITED);
    await s.super(`CREATE ROLE ${s.app} LOGIN PASSWORD '${s.appPassword}'`);
    await s.ok();
  });

  it('no membership is asked for where all is there', async () => {
    const s = await Site.make(inject('servers')[version], LIMITED);
    const owner = await Site.make(inject('servers')[version], SUPERUSER);
    const env = { ...s.env, POSTGRES_DB: owner.database, POSTGRES_USER: owner.app };
    await owner.ok();
    expect(await s.ok({ env })).toContain('Nothing to do.');
  });

  it('a database of someone else that lacks something: exit 9 with the statement', async () => {
    const s = await Site.make(inject('servers')[version], LIMITED);
    await s.super(`CREATE DATABASE ${s.database}`);
    await s.super(`REVOKE TEMPORARY ON DATABASE ${s.database} FROM PUBLIC`);
    const refused = await failure(s.run());
    expect(refused.exitCode).toBe(9);
    expect(refused.statement).toContain(`GRANT TEMPORARY ON DATABASE "${s.database}" TO "${s.app}"`);
    await s.super(refused.statement as string, s.database);
    await s.ok();
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });
});

describe('bootstrap › what it refuses', () => {
  let s: Site;
  beforeAll(async () => {
    s = await Site.make(inject('servers')[16], LIMITED);
  });

  it('no admin login: exit 2 naming both settings', async () => {
    const { DATABASE_MASTER_USER: _u, DATABASE_MASTER_PASSWORD: _p, ...env } = s.env;
    const refused = await failure(s.run({ env }));
    expect(refused.exitCode).toBe(2);
    expect(refused.hint).toContain('DATABASE_MASTER_USER and DATABASE_MASTER_PASSWORD');
  });

  it('a wrong admin password: exit 4, with the admin settings in the hint', async () => {
    const refused = await failure(s.run({ env: { ...s.env, DATABASE_MASTER_PASSWORD: secret() } }));
    expect(refused.exitCode).toBe(4);
    expect(refused.hint).toContain('DATABASE_MASTER_PASSWORD_FILE');
    expect(refused.hint).not.toContain('POSTGRES_PASSWORD');
  });

  it('an admin without a password of its own never gets the application’s', () => {
    const settings = resolveSettings({}, s.env, { direct: true });
    expect(adminSettings(settings, { DATABASE_MASTER_USER: 'x' }, 'postgres').password).toBeUndefined();
  });

  it('a role to be made without a password: exit 8 naming the key', async () => {
    const { POSTGRES_PASSWORD: _p, ...noApp } = s.env;
    expect(await failure(s.run({ env: noApp }))).toMatchObject({
      exitCode: 8,
      message: expect.stringContaining('db-password'),
      hint: expect.stringContaining('POSTGRES_PASSWORD_FILE'),
    });
    const { KASM_DB_GATE_PASSWORD: _g, ...noGate } = s.env;
    expect(await failure(s.run({ env: noGate, gateRole: s.gate }))).toMatchObject({
      exitCode: 8,
      message: expect.stringContaining('gate-password'),
      hint: expect.stringContaining('KASM_DB_GATE_PASSWORD_FILE'),
    });
  });

  it('a password that libpq and pg read in two ways: exit 8', async () => {
    const refused = await failure(s.run({ env: { ...s.env, POSTGRES_PASSWORD: `${secret()}👨‍👩‍👧` } }));
    expect(refused).toMatchObject({ exitCode: 8, message: expect.stringContaining('db-password') });
  });

  it.each(['app', 'admin'] as const)('the %s role as gate: exit 2', async (role) => {
    expect((await failure(s.run({ gateRole: s[role] }))).exitCode).toBe(2);
  });

  it('a URL in place of a role: exit 2, and nobody is told what is in it', async () => {
    const url = 'postgres://x:hunter2@db/kasm';
    const asGate = await failure(s.run({ gateRole: url }));
    const asAdmin = await failure(s.run({ env: { ...s.env, DATABASE_MASTER_USER: url } }));
    expect(asGate).toMatchObject({ exitCode: 2, message: 'role (--gate-role) holds a URL' });
    expect(asAdmin).toMatchObject({ exitCode: 2, message: 'user (DATABASE_MASTER_USER) holds a URL' });
    expect(JSON.stringify([asGate, asAdmin])).not.toContain('hunter2');
  });

  it('a name of more than 63 bytes: exit 2', async () => {
    expect((await failure(s.run({ gateRole: 'ä'.repeat(32) }))).exitCode).toBe(2);
  });

  it('an admin who may not create roles: exit 9 with the statement, its password hidden', async () => {
    await s.super(`ALTER ROLE ${s.admin} NOCREATEROLE`);
    const refused = await failure(s.run());
    await s.super(`ALTER ROLE ${s.admin} CREATEROLE`);
    expect(refused).toMatchObject({
      exitCode: 9,
      sqlstate: '42501',
      statement: `CREATE ROLE "${s.app}" LOGIN PASSWORD '<hidden>'`,
    });
  });

  it('an admin who may not enter the database: exit 9 with the GRANT', async () => {
    await s.super(`CREATE DATABASE ${s.database}`);
    await s.super(`REVOKE CONNECT ON DATABASE ${s.database} FROM PUBLIC`);
    const refused = await failure(s.run());
    await s.super(`DROP DATABASE ${s.database}`);
    expect(refused).toMatchObject({ exitCode: 9, hint: expect.stringContaining('GRANT CONNECT ON DATABASE') });
  });

  it('history tables of another shape: exit 6, and nothing of the transaction stays', async () => {
    const other = await Site.make(inject('servers')[16], LIMITED);
    await other.ok();
    await other.asApp('DROP TABLE kasm_db.run; ALTER TABLE kasm_db.migrations ADD mine int');
    const before = await other.snapshot();
    expect((await failure(other.run({ gateRole: 'postgres' }))).exitCode).toBe(6);
    expect(await other.snapshot()).toBe(before);
  });

  it('a superuser as the application’s role or the gates’ is a warning', async () => {
    const other = await Site.make(inject('servers')[16], SUPERUSER);
    await other.ok({ gateRole: other.gate });
    await other.super(`ALTER ROLE ${other.app} SUPERUSER`);
    const { result } = await other.run({ gateRole: other.gate });
    expect(result.warnings).toEqual([expect.stringContaining(`role ${other.app} is a superuser`)]);
  });

  it('another encoding and a login that may not log in are warnings', async () => {
    const other = await Site.make(inject('servers')[16], SUPERUSER);
    await other.super(`CREATE ROLE ${other.app}`);
    await other.super(
      `CREATE DATABASE ${other.database} OWNER ${other.app} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    const { result } = await other.run();
    expect(result.exitCode).toBe(0);
    expect(result.warnings).toEqual([
      `role ${other.app} exists but may not log in: ALTER ROLE "${other.app}" LOGIN`,
      `database ${other.database} has encoding LATIN1; Kasm's texts need UTF8`,
    ]);
  });
});

describe('bootstrap › while others work', () => {
  it('waits for a migrator, holding no connection, and says so; then exit 5', async () => {
    const s = await Site.make(inject('servers')[16], LIMITED);
    await s.ok();
    await s.asApp('DROP TABLE kasm_db.run');
    const holder = await s.client(s.app, s.appPassword, s.database);
    await holder.query("SELECT pg_advisory_lock(x'6b61736d2d6462'::bigint)");
    await expect(s.steps({ lockTimeoutMs: 300 })).rejects.toMatchObject({ outcome: 'locked' });
    const waiting = s.steps();
    await holder.end();
    expect(await waiting).toMatchObject({ 'tables of the history': 'done' });
  });

  it.skipIf(!hasPgbouncer())('eight at once through pgbouncer: no session lock, no error', async () => {
    const s = await Site.make(inject('servers')[16], LIMITED);
    const pooler = await startBefore({
      port: s.server.port,
      logins: { [s.admin]: s.adminPassword },
      user: s.admin,
      database: 'postgres',
      settings: ['pool_mode = transaction'],
    });
    try {
      const env = { ...s.env, POSTGRES_PORT: String(pooler.port) };
      const runs = await Promise.all(Array.from({ length: 8 }, () => s.steps({ env, gateRole: s.gate })));
      // GRANT may be given twice; whoever comes late with a CREATE finds the thing made.
      for (const what of [`role ${s.app}`, `role ${s.gate}`, `database ${s.database}`, 'schema kasm_db']) {
        expect(
          runs.filter((run) => run[what] === 'done'),
          what,
        ).toHaveLength(1);
      }
      expect(
        await s.super(`SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
          WHERE locktype = 'advisory' AND usename = '${s.admin}'`),
      ).toEqual([]);
    } finally {
      await pooler.stop();
    }
    expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
  });

  it('without database postgres it uses template1, and many at once do not disturb each other', async () => {
    const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-bootstrap-'));
    const server = await startTestServer(16, scratch);
    try {
      const s = await Site.make(server.info, LIMITED);
      await s.super('ALTER DATABASE postgres RENAME TO elsewhere', 'template1');
      s.super = (sql, database = 'elsewhere') => s.as('postgres', server.info.password, database, sql);
      await Promise.all(Array.from({ length: 8 }, () => s.steps()));
      expect((await cli(['migrate'], s.login(s.app, s.appPassword))).code).toBe(0);
    } finally {
      await server.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});

/**
 * The whole log is only to be had from PostgreSQL's logging collector, which leaves one line on stderr: the name of its folder. By this
 * name startServer takes it for the line that it waits for.
 */
const LOG_DIRECTORY = 'database system is ready to accept connections';

describe('bootstrap › a server that logs every statement and still hashes with MD5', () => {
  let scratch: string;
  let stop = async () => {};
  let server: ServerInfo;
  let data: string;
  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-bootstrap-'));
    const running = await startTestServer(16, scratch, [
      'log_statement=all',
      'log_min_duration_statement=0',
      'logging_collector=on',
      `log_directory=${LOG_DIRECTORY}`,
      'password_encryption=md5',
    ]);
    ({ info: server, data, stop } = running);
    await waitFor(
      () => answers({ port: server.port, user: 'postgres', password: server.password, database: 'postgres' }),
      'the server',
    );
  });
  afterAll(async () => {
    await stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('no plaintext password reaches its log, whatever fails', async () => {
    const s = await Site.make(server, LIMITED);
    await s.ok({ gateRole: s.gate });
    await Promise.all(Array.from({ length: 4 }, () => s.steps({ gateRole: s.gate })));
    const refused = await Site.make(server, LIMITED);
    await refused.super(`ALTER ROLE ${refused.admin} NOCREATEROLE`);
    expect((await failure(refused.run({ gateRole: refused.gate }))).exitCode).toBe(9);
    const fresh = secret();
    const admin = await adminSession(s);
    await rotateDatabasePassword(admin, s.app, fresh);
    await expect(rotateDatabasePassword(admin, 'postgres', fresh)).rejects.toMatchObject({
      outcome: 'environment',
      message: expect.not.stringContaining(fresh),
    });
    await admin.end();
    expect(await s.as(s.app, fresh, s.database, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    const log = readdirSync(join(data, LOG_DIRECTORY))
      .map((file) => readFileSync(join(data, LOG_DIRECTORY, file), 'utf8'))
      .join('\n');
    expect(log).toContain(`CREATE ROLE "${s.app}" LOGIN PASSWORD 'SCRAM-SHA-256$4096:`);
    for (const password of [s.appPassword, s.gatePassword, refused.appPassword, refused.gatePassword, fresh]) {
      expect(log).not.toContain(password);
    }
  });
});

describe('planBootstrap › from values', () => {
  const me: RoleState = {
    name: 'admin',
    superuser: false,
    canLogin: true,
    settable: true,
    inherited: true,
    grantable: true,
  };
  const server: ServerState = {
    version: 160_000,
    standby: false,
    pooled: false,
    admin: { name: 'admin', superuser: false },
    roles: [],
    loginIsMember: false,
    template: { encoding: 'UTF8', collate: 'en_US.UTF-8', ctype: 'en_US.UTF-8' },
    extension: { available: true, trusted: true },
  };
  const wanted: Wanted = { login: 'app', owner: 'app', database: 'kasm', verifiers: { login: 'V' } };
  const sql = (state: Partial<ServerState>) =>
    planBootstrap({ server: { ...server, ...state } }, wanted).map(({ as, sqlForDisplay }) =>
      as ? `${as}: ${sqlForDisplay}` : sqlForDisplay,
    );

  it('an admin who is no superuser becomes a member before it owns for another', () => {
    expect(sql({})).toEqual([
      `CREATE ROLE "app" LOGIN PASSWORD '<hidden>'`,
      'GRANT "app" TO "admin" WITH INHERIT FALSE, SET TRUE',
      `CREATE DATABASE "kasm" OWNER "app" TEMPLATE template0 ENCODING 'UTF8'`,
      'app: CREATE EXTENSION "uuid-ossp" WITH SCHEMA public',
      'app: CREATE SCHEMA kasm_db',
      `app: ${CREATE_TABLES_SQL}`,
    ]);
    expect(sql({ version: 150_000 })[1]).toBe('GRANT "app" TO "admin"');
  });

  it('a superuser needs no membership; an untrusted extension it makes itself', () => {
    const plan = sql({ admin: { name: 'admin', superuser: true }, extension: { available: true, trusted: false } });
    expect(plan).not.toContain('GRANT "app" TO "admin" WITH INHERIT FALSE, SET TRUE');
    expect(plan).toContain('CREATE EXTENSION "uuid-ossp" WITH SCHEMA public');
  });

  it("a server in another encoding's locale: C, which takes UTF8", () => {
    const german = { encoding: 'LATIN1', collate: 'de_DE.ISO-8859-1', ctype: 'de_DE.ISO-8859-1' };
    expect(sql({ template: german })[2]).toMatch(/ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'$/);
    expect(sql({ template: { encoding: 'SQL_ASCII', collate: 'C', ctype: 'C' } })[2]).toMatch(/ENCODING 'UTF8'$/);
  });

  it('no extension on the server: environment, with the statement', () => {
    const error = (() => {
      try {
        return sql({ extension: { available: false, trusted: false } });
      } catch (caught) {
        return caught as KasmDbError;
      }
    })();
    expect(error).toMatchObject({ outcome: 'environment', details: { hint: expect.stringContaining('contrib') } });
  });

  it('a database without schema public gets one', () => {
    const database = {
      owner: me,
      ownerMayUse: true,
      encoding: 'UTF8',
      loginMayConnect: true,
      ownerMayTemp: true,
      ownerMayCreate: false,
      gateMayConnect: true,
    };
    const steps = planBootstrap({ server: { ...server, database }, target: { extension: true } }, wanted);
    expect(steps.find((step) => step.what === 'schema public')?.sql).toBe('CREATE SCHEMA public AUTHORIZATION "app"');
  });
});
