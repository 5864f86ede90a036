import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { LOCK_KEY } from '../../src/postgres/lock.js';
import { createLogin } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { ONE } from '../support/migrations.js';
import { translated } from '../support/protocol.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { busy } from '../support/time.js';

/** The test servers are built without translations, so a proxy stands in for lc_messages. */
const LANGUAGES = {
  German: { S: 'FEHLER', M: 'das gibt es nicht, oder es ging schief', D: 'Einzelheiten', H: 'Tun Sie etwas.' },
  Russian: { S: 'ВАЖНО', M: 'ошибка', D: 'подробности', H: 'подсказка' },
};

let proxy: TestProxy | undefined;
const open: pg.Client[] = [];
afterEach(async () => {
  proxy?.stop();
  for (const client of open.splice(0)) await client.end();
});

describe.each(Object.entries(LANGUAGES))('a server that speaks %s', (_, words) => {
  async function speak(db: TestDatabase): Promise<Record<string, string>> {
    proxy = await startProxy(db.port, {
      onMessage: (message) => (message.direction === 'to client' ? translated(message, words) : 'pass'),
    });
    return { ...db.env, POSTGRES_PORT: String(proxy.port), PGSSLMODE: 'disable' };
  }
  const migrate = (env: Record<string, string>, files: Record<string, string>, ...args: string[]) =>
    cli(['migrate', '--json', '--migrations', folder(files), ...args], env);

  it('trap 30: nothing depends on message text: every outcome is the same', async () => {
    const db = await createDatabase();
    const env = await speak(db);
    const first = await migrate(env, ONE);
    expect(first.code, first.stderr).toBe(0);
    expect((await cli(['check', '--json', '--migrations', folder(ONE)], env)).code).toBe(0);

    const failed = await migrate(env, { ...ONE, '0002_bad.sql': 'SELECT 1;\nSELECT 1 / 0;\n' });
    expect([failed.code, failed.json().error?.sqlstate, failed.json().error?.line]).toEqual([7, '22012', 2]);
    expect(failed.json().error?.message).toContain(words.M);
    expect(failed.stdout).not.toContain(words.D);

    const concurrent = await migrate(env, {
      ...ONE,
      '0002_index.sql': '-- kasm-db: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY one_x ON one (x);\n',
    });
    expect(concurrent.code, concurrent.stderr).toBe(0);

    const reader = await db.connect();
    open.push(reader);
    await reader.query('BEGIN; SELECT * FROM one');
    const kept = {
      ...ONE,
      '0002_index.sql': '-- kasm-db: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY one_x ON one (x);\n',
    };
    const blocked = await migrate(
      env,
      { ...kept, '0003_alter.sql': '-- kasm-db: lock-timeout 200ms\nALTER TABLE one ADD COLUMN y int;\n' },
      '--lock-timeout',
      '1s',
    );
    expect([blocked.code, blocked.json().error?.sqlstate]).toEqual([5, '55P03']);
    await reader.query('COMMIT');

    await reader.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
    const locked = await migrate(env, { ...kept, '0003_two.sql': 'CREATE TABLE two ();' }, '--lock-timeout', '500ms');
    expect(locked.code, locked.stderr).toBe(5);
    await reader.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`);

    const { env: other } = await createLogin(db, 'nobody');
    const stranger = { ...other, POSTGRES_PORT: env.POSTGRES_PORT as string, PGSSLMODE: 'disable' };
    expect((await migrate(stranger, { ...kept, '0003_two.sql': 'CREATE TABLE two ();' })).code).toBe(9);
    const wrong = await migrate(
      { ...env, POSTGRES_PASSWORD: 's3cr3t-wrong' },
      ONE,
      '--connect-timeout',
      `${busy(1000)}ms`,
    );
    expect([wrong.code, wrong.json().error?.sqlstate]).toEqual([4, '28P01']);
    const absent = await migrate({ ...env, POSTGRES_DB: 'nowhere' }, ONE, '--connect-timeout', `${busy(1000)}ms`);
    expect([absent.code, absent.json().error?.sqlstate]).toEqual([4, '3D000']);
  });

  it('trap 30: a session that is ended in mid-statement is a lost connection', async () => {
    const db = await createDatabase();
    const env = await speak(db);
    const run = await migrate(env, {
      '0001_end.sql': 'SELECT pg_terminate_backend(pg_backend_pid());\nSELECT pg_sleep(5);\n',
    });
    expect([run.code, run.json().error?.sqlstate], run.stderr).toEqual([4, '57P01']);
  });
});
