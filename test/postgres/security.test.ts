import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { cli, folder } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';

const ONE = { '0001_one.sql': 'CREATE TABLE one (x integer);\n' };

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
    for (const command of [['check'], ['status'], ['plan'], ['doctor', '--no-seed']])
      expect((await cli([...command, '--migrations', folder(ONE)], env)).code, command[0]).toBe(0);
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
