import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import * as library from '../../src/index.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const MINE = ['--migrations', folder({ '0001_a.sql': 'CREATE TABLE a (id int); CREATE TABLE b (id serial);' })];

const nameOf = (db: TestDatabase) => `${db.name} on 127.0.0.1:${db.port} as ${db.user}`;

/** The same database with the login of the superuser. */
function asSuperuser(db: TestDatabase): Record<string, string> {
  const password = inject('servers')[db.version]?.password as string;
  return { ...db.env, POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: password };
}

describe('which database it is', () => {
  it.each(['migrate', 'check', 'status', 'plan', 'doctor'])('%s says it first', async (command) => {
    const db = await createDatabase();
    const run = await cli([command, ...MINE], db.env);
    expect(run.stderr.split('\n')[0]).toBe(nameOf(db));
  });

  it('the library tells it by an event, and what needs no database does not', async () => {
    const db = await createDatabase();
    const told: string[] = [];
    const events = { target: (text: string) => void told.push(text) };
    await library.status({ env: db.env, migrations: MINE[1] as string, events });
    await library.lint({ env: db.env, migrations: MINE[1] as string, events });
    expect(told).toEqual([nameOf(db)]);
    expect((await cli(['lint', ...MINE], db.env)).stderr).not.toContain(db.name);
  });

  it('two places that contradict each other: both are named, and which one counts', async () => {
    const db = await createDatabase();
    const url = `postgres://${db.user}@127.0.0.1:${db.port}/${db.name}`;
    const env = { POSTGRES_PASSWORD: db.password, DATABASE_URL: url, POSTGRES_DB: 'other', PGUSER: db.user };
    const said = `DATABASE_URL and POSTGRES_DB contradict each other: dbname is ${db.name}, not other, since DATABASE_URL counts more; unset one of them`;
    const run = await cli(['status', '--json', ...MINE], env);
    expect(run.json().warnings).toEqual([said]);
    expect(run.stderr).toBe(`${nameOf(db)}\nwarning: ${said}\n`);
    const flag = await cli(['status', '--json', '--dbname', db.name, ...MINE], {
      ...env,
      DATABASE_URL: `postgres://${db.user}@127.0.0.1:${db.port}/elsewhere`,
    });
    expect(flag.json().warnings?.[0]).toMatch(/^--dbname and DATABASE_URL contradict each other: dbname is db_/);
    const doctor = await cli(['doctor', '--no-seed', ...MINE], env);
    expect(doctor.stdout).toContain(`warning settings   ${said}`);
  });

  it('a value that does not count is not shown where it may hold a password', async () => {
    const db = await createDatabase();
    const run = await cli(['status', '--json', '--dbname', db.name, ...MINE], {
      ...db.env,
      POSTGRES_DB: 'postgres://app:hunter2@db/kasm',
    });
    expect(run.json().warnings?.[0]).toMatch(/^--dbname and POSTGRES_DB contradict each other/);
    expect(run.stdout + run.stderr).not.toContain('hunter2');
  });

  it('what looks like a setting and is none is a warning with the one that was meant', async () => {
    const db = await createDatabase();
    const wrong = { POSTGRES_HOSTNAME: 'x', KASM_DB_SECRET_DIR: '/x', PGSSLMOED: 'require' };
    const run = await cli(['migrate', '--json', ...MINE], { ...db.env, ...wrong });
    expect(run.json().warnings).toEqual([
      'POSTGRES_HOSTNAME is not a setting; did you mean POSTGRES_HOST?',
      'KASM_DB_SECRET_DIR is not a setting; did you mean KASM_DB_SECRETS_DIR?',
      'PGSSLMOED is not a setting; did you mean PGSSLMODE?',
    ]);
  });
});

describe('whose it will be', () => {
  it('a superuser by mistake: migrate, bootstrap and doctor say so, check says whose it is, and the manual gives it back', async () => {
    const db = await createDatabase();
    const warning = `postgres does not own database ${db.name}, ${db.user} does`;
    for (const args of [['doctor', '--no-seed'], ['migrate', '--dry-run'], ['migrate']]) {
      const run = await cli([...args, ...MINE], asSuperuser(db));
      expect(run.stdout + run.stderr, args.join(' ')).toContain(warning);
      expect(run.stdout + run.stderr).toContain(`--role ${db.user}`);
    }
    for (const command of ['check', 'migrate']) {
      const run = await cli([command, '--json', ...MINE], db.env);
      expect(run.code).toBe(9);
      expect(run.json().error).toMatchObject({
        message: expect.stringContaining(`belong to postgres, so ${db.user} cannot use them`),
        hint: expect.stringContaining('docs/TROUBLESHOOTING.md'),
      });
    }
    const manual = readFileSync(join(import.meta.dirname, '../../docs/TROUBLESHOOTING.md'), 'utf8');
    const [, sql = ''] = /## Tables that belong to the wrong login\n.*?```sql\n(.*?)```/s.exec(manual) ?? [];
    await db.superQuery(sql.replace('kasmapp', db.user));
    expect((await cli(['check', ...MINE], db.env)).code).toBe(0);
    await db.query('INSERT INTO b DEFAULT VALUES');
  });

  it('nothing is said where the owner can use it', async () => {
    const db = await createDatabase();
    const run = await cli(['migrate', '--json', '--role', db.user, ...MINE], asSuperuser(db));
    expect(run.json().warnings).toBeUndefined();
  });
});
