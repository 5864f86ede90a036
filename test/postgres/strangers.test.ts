import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { countCalls } from '../fixtures/strangers/shadows.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, OLDEST_AND_NEWEST, type TestDatabase } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { startProxy } from '../support/proxy.js';

/** What a role that may only create things in `public`, or was given a little more, can try against whoever runs kasm-db. */
const secrets = folder(newSecrets());
const ONE = { '0001_a.sql': 'CREATE TABLE a (x int)' };
const TWO = { ...ONE, '0002_b.sql': 'CREATE TABLE b (x int)' };

interface Stranger {
  name: string;
  query(sql: string): Promise<unknown>;
  end(): Promise<void>;
}

/** @param attributes of the role, as SQL */
async function strangerIn(db: TestDatabase, attributes = ''): Promise<Stranger> {
  const name = `stranger_${randomBytes(4).toString('hex')}`;
  await db.superQuery(`CREATE ROLE ${name} LOGIN PASSWORD 'x' ${attributes}; GRANT CREATE, USAGE ON SCHEMA public TO ${name};
    ALTER DATABASE ${db.name} SET track_functions = 'all'`);
  const client = new pg.Client({
    host: '127.0.0.1',
    port: db.port,
    user: name,
    password: 'x',
    database: db.name,
    ssl: false,
  });
  client.on('error', () => {});
  await client.connect();
  return { name, query: (sql) => client.query(sql), end: () => client.end() };
}

const CANARY = `CREATE FUNCTION public.canary() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'`;
const EVIL = `${CANARY};
  CREATE FUNCTION public.evil() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
  CREATE FUNCTION public.evil_constant(x integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.evil() = 1; END';
  CREATE FUNCTION public.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.evil(); RETURN NEW; END'`;

async function migrated(version: (typeof OLDEST_AND_NEWEST)[number]): Promise<TestDatabase> {
  const db = await createDatabase(version);
  const run = await cli(['migrate', '--seed', '--secrets', secrets], db.env);
  expect(run.code, run.stderr).toBe(0);
  return db;
}

const ROTATE = ['seed', '--secrets', secrets, '--rotate', 'admin-password', '--json'];

describe.each(OLDEST_AND_NEWEST)('PostgreSQL %i › trust is nothing that a stranger can give himself', (version) => {
  // In 15 nobody may but CREATEROLE, which before 16 could take the login over.
  it.skipIf(version === 15)(
    'a login that he has made a member of his role trusts him no more than before',
    async () => {
      const db = await migrated(version);
      // Before 15 everybody may; from 16 on who has been given the right to, by CREATEROLE for roles of his own.
      const stranger = await strangerIn(db, version < 16 ? '' : 'CREATEROLE');
      const owner = version < 16 ? stranger.name : `${stranger.name}_2`;
      if (version >= 16) {
        await stranger.query(`CREATE ROLE ${owner}; GRANT ${owner} TO ${stranger.name} WITH SET TRUE`);
        await db.superQuery(`GRANT CREATE ON SCHEMA public TO ${owner}`);
      }
      await stranger.query(`GRANT ${owner} TO ${db.user}`);
      await db.superQuery(`GRANT TRIGGER ON public.users TO ${owner}`);
      await stranger.query(`SET ROLE ${owner}; ${EVIL};
      CREATE TRIGGER evil BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.evil_trigger()`);
      const called = await countCalls(db);
      const run = await cli(ROTATE, db.env);
      expect(run.json()).toMatchObject({
        exitCode: 6,
        error: { message: expect.stringContaining(`belongs to "${owner}"`) },
      });
      expect(await called()).toEqual([]);
      await stranger.end();
    },
  );

  it('what belongs to a role that an administrator has made the login a member of is used', async () => {
    const db = await migrated(version);
    const group = `group_${randomBytes(4).toString('hex')}`;
    // Before 16 the administrator who did it may be gone since, as a role.
    const grant = `GRANT ${group} TO ${group}_2; GRANT ${group}_2 TO ${db.user}`;
    const granted =
      version < 16
        ? `CREATE ROLE ${group}_3 SUPERUSER; SET ROLE ${group}_3; ${grant}; RESET ROLE; DROP ROLE ${group}_3`
        : grant;
    await db.superQuery(`CREATE ROLE ${group}; CREATE ROLE ${group}_2; ${granted};
      GRANT ALL ON SCHEMA public TO ${group}; GRANT TRIGGER ON public.users TO ${group}; SET ROLE ${group};
      CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER note BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.note()`);
    const run = await cli(ROTATE, db.env);
    expect(run.code, run.stderr).toBe(0);
  });

  it("a trigger of PostgreSQL's own function runs what its arguments name: not where a stranger may have made it", async () => {
    const db = await migrated(version);
    const stranger = await strangerIn(db);
    await db.superQuery(`CREATE EXTENSION refint SCHEMA public; GRANT TRIGGER ON public.users TO ${stranger.name}`);
    await stranger.query(`${EVIL}; CREATE VIEW public.keys AS SELECT 'x'::text AS k WHERE public.evil() = 1; GRANT SELECT ON public.keys TO PUBLIC;
      CREATE TRIGGER evil BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.check_primary_key('username', 'public.keys', 'k')`);
    const called = await countCalls(db);
    const run = await cli(ROTATE, db.env);
    expect(run.json()).toMatchObject({
      exitCode: 6,
      error: { message: expect.stringMatching(/a trigger evil with arguments/) },
    });
    expect(await called()).toEqual([]);
    await db.superQuery(`REVOKE TRIGGER ON public.users FROM ${stranger.name}; DROP TRIGGER evil ON public.users`);
    await stranger.end();
  });

  it('schema kasm_db of a stranger holds no history', async () => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    await db.superQuery(`GRANT CREATE ON DATABASE ${db.name} TO ${stranger.name}`);
    await stranger.query(`CREATE SCHEMA kasm_db; GRANT ALL ON SCHEMA kasm_db TO PUBLIC`);
    const run = await cli(['migrate', '--json', '--migrations', folder(ONE)], db.env);
    expect(run.json()).toMatchObject({
      exitCode: 6,
      error: { message: expect.stringContaining(`kasm_db is there already and belongs to "${stranger.name}"`) },
    });
    await db.superQuery(`ALTER SCHEMA kasm_db OWNER TO postgres`);
    expect((await cli(['migrate', '--migrations', folder(ONE)], db.env)).code).toBe(0);
    await stranger.end();
  });

  it('a view that the owner of the schema puts in the place of a table just after it was looked at is not read', async () => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    await db.superQuery(`CREATE TABLE public.bait (x integer); ALTER TABLE public.bait OWNER TO ${db.user};
      ALTER SCHEMA public OWNER TO ${stranger.name}; GRANT ALL ON SCHEMA public TO ${db.user}`);
    await stranger.query(EVIL);
    let swapped = 0;
    const proxy = await startProxy(db.port, {
      onMessage: async ({ direction, type, text }) => {
        if (direction === 'to client' || type !== 'Q' || !text().includes('ONLY public.')) return 'pass' as const;
        swapped++;
        await stranger.query(
          `DROP TABLE public.bait; CREATE VIEW public.bait AS SELECT public.evil() AS x; GRANT ALL ON public.bait TO PUBLIC`,
        );
        return 'pass' as const;
      },
    });
    const called = await countCalls(db);
    const run = await cli(['check', '--json', '--migrations', folder(ONE)], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    proxy.stop();
    expect(swapped).toBe(1);
    expect(run.code).not.toBe(0);
    expect(await called()).toEqual([]);
    await stranger.end();
  });

  it('to plan a query is to compute what is constant in it: no table of his is looked into, nor one of which he has made a part', async () => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    const calls = `public.evil_constant(1)`;
    const statistics = version < 14 ? '' : `CREATE STATISTICS public.s ON ((x = 1 AND ${calls})) FROM public.u`;
    await stranger.query(`${EVIL}; CREATE TABLE public.t (x integer); CREATE INDEX i ON public.t (x) WHERE ${calls};
      CREATE TABLE public.u (x integer CHECK (${calls})); ${statistics}; GRANT ALL ON public.t, public.u TO PUBLIC`);
    await db.superQuery(`CREATE TABLE public.users (x integer); CREATE INDEX j ON public.users ((x = 1 AND ${calls}));
      ALTER TABLE public.users OWNER TO ${db.user}; ALTER DATABASE ${db.name} SET constraint_exclusion = on`);
    const called = await countCalls(db);
    for (const command of ['check', 'status', 'plan', 'doctor', 'migrate', 'adopt', 'verify', 'capture'])
      await cli([command, '--json', ...(command === 'capture' ? ['--out', '/dev/null'] : [])], db.env);
    // PostgreSQL's own functions are counted too, where they are written in SQL.
    expect((await called()).filter((name) => name.startsWith('evil'))).toEqual([]);
    // They do work.
    for (const table of ['t', 'users']) {
      await db.query(`SELECT FROM public.${table}`);
      expect(await called(), table).toContain('evil');
    }
    await stranger.end();
  });

  it('an invalid index of his is his, and keeps nobody from a repair', async () => {
    const db = await migrated(version);
    const stranger = await strangerIn(db);
    await stranger.query('CREATE TABLE public.t (x integer); INSERT INTO public.t VALUES (1), (1)');
    await expect(stranger.query('CREATE UNIQUE INDEX CONCURRENTLY i ON public.t (x)')).rejects.toThrow();
    const run = await cli(['repair', '--yes', '--json'], db.env);
    expect(run.json(), run.stderr).toMatchObject({ exitCode: 0, repairs: [] });
    await stranger.end();
  });

  it('a rollback does not count the rows of a table of his', async () => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    const files = folder({ '0001_a.sql': 'CREATE TABLE a (x int)', '0001_a.down.sql': 'DROP TABLE IF EXISTS a' });
    expect((await cli(['migrate', '--migrations', files], db.env)).code).toBe(0);
    await db.query('DROP TABLE a');
    await stranger.query(`${EVIL}; CREATE TABLE public.a (x integer); CREATE INDEX i ON public.a (x) WHERE public.evil_constant(1);
      GRANT ALL ON public.a TO PUBLIC`);
    const called = await countCalls(db);
    for (const more of [[], ['--dry-run']]) {
      const run = await cli(['rollback', '--steps', '1', '--json', '--migrations', files, ...more], db.env);
      expect(run.json(), run.stderr).toMatchObject({
        exitCode: 6,
        error: { message: expect.stringMatching(/whether public\.a holds rows is not looked up/) },
      });
    }
    expect(await called()).toEqual([]);
    await stranger.end();
  });

  it('a foreign table in the place of alembic_version: exit 6', async () => {
    const db = await createDatabase(version);
    await db.superQuery(`CREATE FOREIGN DATA WRAPPER nothing_${db.name}; CREATE SERVER nothing_${db.name} FOREIGN DATA WRAPPER nothing_${db.name};
      CREATE FOREIGN TABLE public.alembic_version (version_num varchar) SERVER nothing_${db.name}; GRANT ALL ON public.alembic_version TO PUBLIC`);
    for (const command of ['check', 'status', 'migrate', 'adopt']) {
      const run = await cli([command, '--json'], db.env);
      expect(run.json(), command).toMatchObject({
        exitCode: 6,
        error: { message: expect.stringMatching(/not an ordinary table/) },
      });
    }
  });

  it('a rehearsal copies nothing of what he has made, nor what stands on it, and says so', async () => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    await db.superQuery(`ALTER ROLE ${db.user} CREATEDB`);
    expect((await cli(['migrate', '--migrations', folder(ONE)], db.env)).code).toBe(0);
    const marked = `SELECT rolconfig FROM pg_roles WHERE rolname = '${db.user}'`;
    // In the copy it would belong to the login, and do as it pleases with that.
    await stranger.query(`CREATE FUNCTION public.mark() RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN EXECUTE format('ALTER ROLE %I SET work_mem = ''5MB''', session_user); RETURN true; END $$;
      CREATE FUNCTION public.evil(x integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN IF session_user <> '${stranger.name}' THEN PERFORM public.mark(); END IF; RETURN true; END $$;
      CREATE TABLE public.t (x integer CHECK (public.evil(1))); CREATE INDEX i ON public.t (x) WHERE public.evil(1);
      CREATE MATERIALIZED VIEW public.m AS SELECT public.evil(1); GRANT ALL ON public.t TO PUBLIC`);
    await db.query('CREATE VIEW public.mine AS SELECT x FROM public.t');
    const run = await cli(['plan', '--rehearse', '--json', '--migrations', folder(TWO)], db.env);
    expect(run.json(), run.stderr).toMatchObject({ exitCode: 0, rehearsal: { applied: [{ name: '0002_b' }] } });
    for (const object of [
      'table public.t',
      'view public.m',
      'routine public.evil(integer)',
      'routine public.mark()',
      'view public.mine',
    ])
      expect(run.json().warnings).toContain(`the copy lacks ${object}, which needs objects of role ${stranger.name}`);
    expect(await db.superQuery(marked)).toEqual([{ rolconfig: null }]);
    await stranger.end();
  });
});

describe('what others leave behind a pooler', () => {
  it.runIf(hasPgbouncer())('a temporary table of another client is not taken for the one in public', async () => {
    const db = await createDatabase(18);
    const pooler = await startPgbouncer(db, 'transaction', ['max_db_connections = 1']);
    expect((await cli(['migrate', '--migrations', folder(ONE)], pooler.env)).code).toBe(0);
    const other = async () => {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: pooler.port,
        user: db.user,
        password: db.password,
        database: db.name,
        ssl: false,
      });
      client.on('error', () => {});
      await client.connect();
      await client.query('CREATE TEMP TABLE IF NOT EXISTS a (x int)');
      await client.end();
    };
    // Its last message before the file, of which another client's may be the next on the same connection to the server.
    let between = 0;
    const proxy = await startProxy(pooler.port, {
      onMessage: async ({ direction, type, text }) => {
        if (
          direction === 'to server' &&
          type === 'Q' &&
          text().includes('READ WRITE') &&
          text().includes('DateStyle') === false &&
          ++between
        )
          await other();
        return 'pass' as const;
      },
    });
    const more = folder({ ...ONE, '0002_b.sql': 'ALTER TABLE a ADD COLUMN z int' });
    const run = await cli(['migrate', '--migrations', more], { ...pooler.env, POSTGRES_PORT: String(proxy.port) });
    proxy.stop();
    await pooler.stop();
    expect(run.code, run.stderr).toBe(0);
    expect(between).toBeGreaterThan(0);
    const columns =
      "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'a' ORDER BY 1";
    expect(await db.superQuery(columns)).toEqual([{ name: 'x' }, { name: 'z' }]);
  });
});

describe('names that a stranger has chosen', () => {
  const EVIL = 'x\r\n\u2028\u0085\u001b[2J\u202e"; DROP TABLE public.users; --\n| </script><b>`$(id)`';
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

  it('forge no line of the log, no statement and no markup, wherever they are printed', async () => {
    const db = await migrated(18);
    const stranger = await strangerIn(db);
    const name = quoted(EVIL.slice(0, 40));
    await stranger.query(`CREATE TABLE public.${name} (${name} integer); COMMENT ON TABLE public.${name} IS $c$${EVIL}$c$;
      CREATE VIEW public.v AS SELECT * FROM public.${name}; CREATE FUNCTION public.${name}() RETURNS integer LANGUAGE sql AS 'SELECT 1'`);
    // As the owner has it: what is extra, and in the way.
    await db.superQuery(`ALTER TABLE public.${name} OWNER TO ${db.user}; ALTER VIEW public.v OWNER TO ${db.user}`);
    const holder = await db.connect();
    await holder.query(
      `SET application_name = '${EVIL.slice(0, 20)}'; SELECT pg_advisory_lock(x'6b61736d2d6462'::bigint)`,
    );
    const runs = [
      await cli(['verify'], db.env),
      await cli(['verify', '--fix-sql'], db.env),
      await cli(['status'], db.env),
      await cli(['doctor'], db.env),
      await cli(['docs', '--format', 'markdown'], db.env),
      await cli(['docs', '--format', 'mermaid'], db.env),
      await cli(['rollback', '--steps', '1', '--lock-timeout', '1s'], db.env),
      await cli(['plan', '--json'], db.env),
      await cli(['verify', '--json'], db.env),
    ];
    await holder.end();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
    for (const { stdout, stderr } of runs) expect(obeyed.exec(`${stdout}${stderr}`)?.input ?? '').toBe('');
    // What is printed as a comment is one, also for who takes it out of the JSON.
    const fix = (await cli(['verify', '--fix-sql', '--json'], db.env)).stdout;
    expect(fix).toContain('DROP TABLE public.users');
    const texts = Object.values(JSON.parse(fix)).filter((value) => typeof value === 'string' && value.includes('--'));
    for (const text of texts as string[]) {
      const outside = text.replace(/"(?:[^"]|"")*"/g, '"name"').split(/[\r\n]/);
      expect(outside.filter((line) => /^\s*DROP TABLE/.test(line))).toEqual([]);
    }
    await stranger.end();
  });

  it('nor does the name of a role, of a trigger or of a foreign key', async () => {
    const db = await migrated(13);
    const role = quoted(`${EVIL.slice(0, 12)}ok      lock      ${randomBytes(3).toString('hex')}`);
    await db.superQuery(`CREATE ROLE ${role}; GRANT CREATE, USAGE ON SCHEMA public TO ${role}; SET ROLE ${role};
      CREATE FUNCTION public.${role}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; RESET ROLE;
      CREATE TRIGGER ${role} BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.${role}();
      ALTER SCHEMA kasm_db OWNER TO ${role}; GRANT ALL ON SCHEMA kasm_db TO ${db.user}`);
    const runs = [
      await cli(['doctor', '--no-seed'], db.env),
      await cli(ROTATE.slice(0, -1), db.env),
      await cli(ROTATE, db.env),
      await cli(['verify'], db.env),
    ];
    await db.superQuery(`ALTER SCHEMA kasm_db OWNER TO ${db.user}; DROP OWNED BY ${role} CASCADE`);
    await db.superQuery(`DROP ROLE ${role}`);
    for (const { stdout, stderr } of runs) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      expect(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.test(stdout + stderr)).toBe(false);
      expect(
        `${stdout}\n${stderr}`
          .split('\n')
          .filter((line) => /^\S* ?ok +lock/.test(line) && !/migration lock/.test(line)),
      ).toEqual([]);
    }
    expect(runs[0]?.stdout).toContain('schema kasm_db belongs to x');
  });

  it('a database named to forge a metric makes one label', async () => {
    const db = await createDatabase(16);
    const name = `x"} 1\nkasm_db_pending 0 # \\ ${randomBytes(3).toString('hex')}`;
    await db.superQuery(`CREATE DATABASE ${quoted(name)} OWNER ${db.user}`);
    const run = await cli(['status', '--format', 'prometheus', '--migrations', folder(ONE)], {
      ...db.env,
      POSTGRES_DB: name,
    });
    await db.superQuery(`DROP DATABASE ${quoted(name)}`);
    expect(run.code, run.stderr).toBe(0);
    for (const line of run.stdout.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) kasm_db_\w+ |kasm_db_\w+\{.*\} [\d.e+-]+$)/);
    expect(run.stdout).toContain('x\\"} 1\\nkasm_db_pending 0 # \\\\ ');
  });

  it('a comment larger than any message: verify says so and ends', async () => {
    const db = await migrated(18);
    const stranger = await strangerIn(db);
    await stranger.query(
      `CREATE TABLE public.t (x integer); DO $$ BEGIN EXECUTE format('COMMENT ON TABLE public.t IS %L', repeat('x', 40000000)); END $$`,
    );
    const run = await cli(['verify', '--json'], db.env);
    expect([4, 6], run.stderr).toContain(run.code);
    expect((await cli(['check', '--seed'], db.env)).code).toBe(0);
    await stranger.end();
  });
});
