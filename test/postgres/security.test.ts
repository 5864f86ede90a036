import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION, type TestDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { ONE } from '../support/migrations.js';

/**
 * What somebody who may create things in `public` would put there so that a statement of ours takes it for PostgreSQL's own: functions
 * and operators that fit the types of our calls better than those of pg_catalog (CVE-2018-1058). Each remembers who ran it.
 */
const SHADOWS = `
CREATE TABLE public.victims (who text, by_way_of text);
GRANT ALL ON public.victims TO PUBLIC;
CREATE FUNCTION public.caught(way text) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO public.victims VALUES (current_user, way); EXCEPTION WHEN OTHERS THEN RAISE WARNING 'CAUGHT %', way; END$$;
CREATE FUNCTION public.json_step(s json, v json) RETURNS json LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('json_agg'); RETURN '[]'; END$$;
CREATE AGGREGATE public.json_agg(json) (SFUNC = public.json_step, STYPE = json);
CREATE FUNCTION public.name_step(s json, v name) RETURNS json LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('json_agg(name)'); RETURN '[]'; END$$;
CREATE AGGREGATE public.json_agg(name) (SFUNC = public.name_step, STYPE = json);
CREATE FUNCTION public.object_step(s json, k name, v json) RETURNS json LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('json_object_agg'); RETURN '{}'; END$$;
CREATE AGGREGATE public.json_object_agg(name, json) (SFUNC = public.object_step, STYPE = json);
CREATE FUNCTION public.min_step(s varchar, v varchar) RETURNS varchar LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('min'); RETURN v; END$$;
CREATE AGGREGATE public.min(varchar) (SFUNC = public.min_step, STYPE = varchar);
CREATE FUNCTION public.has_table_privilege(regclass, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('has_table_privilege'); RETURN true; END$$;
CREATE FUNCTION public.to_json(varchar) RETURNS json LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('to_json'); RETURN '"x"'; END$$;
CREATE FUNCTION public.oid_is(oid, integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('oid = integer'); RETURN true; END$$;
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = integer, FUNCTION = public.oid_is);
CREATE FUNCTION public.oid_is(oid, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('oid = bigint'); RETURN true; END$$;
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = bigint, FUNCTION = public.oid_is);
CREATE FUNCTION public.oid_is(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('oid = regclass'); RETURN true; END$$;
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.oid_is);
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('now'); RETURN '2000-01-01'; END$$;
CREATE FUNCTION public.current_database() RETURNS name LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('current_database'); RETURN 'x'; END$$;
CREATE FUNCTION public.pg_try_advisory_lock(integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('lock'); RETURN true; END$$;
CREATE FUNCTION public.to_jsonb(text) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('to_jsonb(text)'); RETURN '"x"'; END$$;
CREATE FUNCTION public.to_jsonb(varchar) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('to_jsonb(varchar)'); RETURN '"x"'; END$$;
CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('quote_ident'); RETURN 'x'; END$$;
CREATE FUNCTION public.jsonb_step(s jsonb, v jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('jsonb_agg'); RETURN '[]'; END$$;
CREATE AGGREGATE public.jsonb_agg(jsonb) (SFUNC = public.jsonb_step, STYPE = jsonb);
CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM public.caught('lower'); RETURN 'x'; END$$;
`;

const victims = (db: TestDatabase) =>
  db.superQuery<{ by_way_of: string }>('SELECT DISTINCT by_way_of FROM public.victims ORDER BY 1');

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › shadows of PostgreSQL’s functions in public', (version) => {
  it("trap 47: what another role has made in public under the names of PostgreSQL's own is called by no command", async () => {
    const db = await createDatabase(version);
    const evil = `evil_${randomBytes(4).toString('hex')}`;
    await db.superQuery(`CREATE ROLE ${evil}; GRANT CREATE, USAGE ON SCHEMA public TO ${evil}`);
    await db.superQuery(`SET ROLE ${evil}; ${SHADOWS}`);
    // They do work: a statement that is not careful is caught.
    await db.query("SELECT json_agg(x) FROM (SELECT '1'::json AS x) s");
    expect(await victims(db)).toEqual([{ by_way_of: 'json_agg' }]);
    await db.superQuery('DELETE FROM public.victims');

    const login = { ...db.env, DATABASE_MASTER_USER: 'postgres', DATABASE_MASTER_PASSWORD: serverPassword(version) };
    const secrets = folder({
      'admin-password': `${SECRET_MARK}Admin-1`,
      'user-password': `${SECRET_MARK}User-1`,
      'manager-token': `${SECRET_MARK}manager-token-1`,
      'service-token': `${SECRET_MARK}service-token-1`,
    });
    for (const [command, code] of [
      [['check'], 3],
      [['plan'], 0],
      [['status'], 0],
      [['doctor'], 9], // a table of somebody else
      [['bootstrap'], 0],
      [['migrate', '--dry-run'], 0],
      [['migrate'], 0],
      [['seed', '--secrets', secrets], 0],
      [['seed', '--secrets', secrets], 0],
      [['migrate'], 0],
      [['check', '--seed'], 0],
      [['check', '--wait', '200ms'], 0],
      [['plan'], 0],
      [['status'], 0],
      [['doctor'], 9], // a table of somebody else
    ] as const) {
      const run = await cli([...command, '--json'], login);
      expect(run.code, `${command.join(' ')}: ${run.stdout} ${run.stderr}`).toBe(code);
      expect(run.stderr).not.toContain('CAUGHT');
      expect(await victims(db), command.join(' ')).toEqual([]);
    }
  });

  it('a trigger, a rule or a policy on the history, or somebody else as its owner, is refused before anything is written', async () => {
    for (const [evil, words] of [
      [
        "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON kasm_db.migrations FOR EACH ROW EXECUTE FUNCTION public.f()",
        'trigger t',
      ],
      ['CREATE RULE r AS ON INSERT TO kasm_db.run DO ALSO NOTHING', 'rule r'],
      [
        'ALTER TABLE kasm_db.migrations ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON kasm_db.migrations USING (true)',
        'policy p',
      ],
      [
        'ALTER TABLE kasm_db.run ENABLE ROW LEVEL SECURITY; ALTER TABLE kasm_db.run FORCE ROW LEVEL SECURITY',
        'row security',
      ],
    ] as const) {
      const db = await createDatabase(version);
      expect((await migrate(db, folder(ONE))).code).toBe(0);
      await db.superQuery(evil);
      const run = await migrate(db, folder({ ...ONE, '0002_two.sql': 'SELECT 1;' }));
      expect(run.code, run.stderr).toBe(6);
      expect(run.json().error?.message).toContain(words);
    }
    const db = await createDatabase(version);
    expect((await migrate(db, folder(ONE))).code).toBe(0);
    const other = `other_${randomBytes(4).toString('hex')}`;
    await db.superQuery(
      `CREATE ROLE ${other}; ALTER TABLE kasm_db.run OWNER TO ${other}; GRANT ALL ON kasm_db.run TO PUBLIC`,
    );
    const run = await migrate(db, folder({ ...ONE, '0002_two.sql': 'SELECT 1;' }));
    expect(run.code, run.stderr).toBe(6);
    expect(run.json().error?.message).toContain(`it belongs to "${other}"`);
  });
});

function serverPassword(version: number): string {
  return inject('servers')[version]?.password ?? '';
}

describe('names that would be more than names', () => {
  const WEIRD = ['we"ird\'; DROP TABLE one; --', '$(id) `id` %s \\', 'with space, and comma', 'ünïcödé €', "E'\\x27"];

  it.each(WEIRD)('database, login, owner, gate role and schema: %s', async (weird) => {
    const server = inject('servers')[DEFAULT_VERSION] as { port: number; password: string };
    const unique = randomBytes(3).toString('hex');
    const name = `${weird} ${unique}`;
    const env = {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(server.port),
      POSTGRES_DB: name,
      POSTGRES_USER: `login ${name}`,
      POSTGRES_PASSWORD: `${SECRET_MARK}${weird}`,
      KASM_DB_ROLE: `owner ${name}`,
      DATABASE_MASTER_USER: 'postgres',
      DATABASE_MASTER_PASSWORD: server.password,
    };
    const gate = { KASM_DB_GATE_PASSWORD: `${SECRET_MARK}gate` };
    const made = await cli(['bootstrap', '--json', '--gate-role', `gate ${name}`], { ...env, ...gate });
    expect(made.code, made.stderr).toBe(0);
    const run = await cli(['migrate', '--json', '--migrations', folder(ONE)], env);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().database).toMatchObject({ name, user: `login ${name}` });
    const client = new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'postgres',
      password: server.password,
      database: name,
      ssl: false,
    });
    await client.connect();
    const { rows } = await client.query("SELECT tableowner FROM pg_tables WHERE tablename = 'one'");
    await client.end();
    expect(rows).toEqual([{ tableowner: `owner ${name}` }]);
    for (const command of ['check', 'status', 'plan', 'doctor'])
      expect((await cli([command, '--migrations', folder(ONE)], env)).code, command).toBe(0);
  });
});

describe('what a terminal would obey', () => {
  // CSI in its 7-bit and 8-bit form, a bell, a title, and a change of the writing direction.
  const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202egnp';

  it('is made visible wherever it comes from: server, history, names, files, settings', async () => {
    const db = await createDatabase();
    const files = folder({
      '0001_one.sql': `-- ${EVIL}\nDO $$ BEGIN RAISE NOTICE '${EVIL}'; RAISE EXCEPTION '${EVIL}' USING HINT = '${EVIL}'; END $$;\n`,
    });
    const outputs = [
      await cli(['migrate', '--verbose', '--migrations', files], db.env),
      await cli(['status', '--migrations', files], db.env),
      await cli(['check', '--migrations', files], db.env),
      await cli(['doctor', '--migrations', files], { ...db.env, POSTGRES_USER: `x${EVIL}` }),
      await cli(['check', '--host', `${EVIL}.invalid`, '--connect-timeout', '100ms'], db.env),
      await cli(['check', '--sslmode', EVIL], db.env),
      await cli(['plan', '--sql', '--migrations', files], db.env),
      await cli(['migrate', '--migrations', folder({ [`0001_${EVIL}.sql`]: 'SELECT 1;' })], db.env),
      await cli(['migrate', `--${EVIL}`], db.env),
      await cli(['check', '--json', '--migrations', files], db.env),
      await cli(['status', '--json', '--migrations', files], db.env),
    ];
    for (const { stdout, stderr } of outputs) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
      expect(control.exec(stdout)?.input ?? '').toBe('');
      expect(control.exec(stderr)?.input ?? '').toBe('');
    }
  });
});
