import { describe, expect, it } from 'vitest';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, waitFor } from '../support/database.js';

const MINE = [
  '--migrations',
  folder({
    '0001_a.sql': 'CREATE TABLE a (id int);',
    '0001_a.down.sql': 'DROP TABLE a;',
    '0002_b.sql': 'SELECT pg_sleep(60);',
    '0002_b.down.sql': 'SELECT pg_sleep(60);',
  }),
];
const SLEEPING =
  "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'";
const WHEN = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \((just now|\d+ s ago)\), by kasm-db/`;

describe('status › what goes on', () => {
  it('while a run goes on: who, since when, at which migration; after a rollback that it was one', async () => {
    const db = await createDatabase();
    const run = startCli(['migrate', ...MINE], db.env);
    await waitFor(() => db.superQuery(SLEEPING), 'the second migration');
    const during = await cli(['status', ...MINE], db.env);
    expect(during.stdout).toMatch(
      new RegExp(`\nRun in progress: migrate, 1 of 2 migrations, at 0002_b; since ${WHEN}`),
    );
    run.child.kill('SIGINT');
    await run.ended;
    expect((await cli(['status', ...MINE], db.env)).stdout).toMatch(
      /\nLast run: migrate failed, 1 of 2 migrations, at 0002_b/,
    );
    expect((await cli(['repair', '--applied', '0002_b', '--yes', ...MINE], db.env)).code).toBe(0);
    const back = startCli(['rollback', '--steps', '1', ...MINE], db.env);
    await waitFor(() => db.superQuery(SLEEPING), 'the rollback');
    const undoing = await cli(['status', '--json', ...MINE], db.env);
    expect(undoing.json().run).toMatchObject({ phase: 'migrate', rollback: true, current: '0002_b' });
    const gate = await cli(['check', ...MINE], db.env);
    expect(gate.code).toBe(0);
    back.child.kill('SIGINT');
    await back.ended;
    expect((await cli(['status', ...MINE], db.env)).stdout).toMatch(
      /\nLast run: rollback failed, 0 of 1 migration, at 0002_b/,
    );
    expect((await cli(['repair', '--pending', '0002_b', '--yes', ...MINE], db.env)).code).toBe(0);
    expect((await cli(['rollback', '--to', 'none', ...MINE], db.env)).code).toBe(0);
    expect((await cli(['status', ...MINE], db.env)).stdout).toMatch(
      new RegExp(`\nLast run: rollback done, 1 of 1 migration; began at ${WHEN}`),
    );
  });

  it('--pending: only these; --watch: again and again, until Ctrl-C', async () => {
    const db = await createDatabase();
    expect((await cli(['migrate', '--to', '0001_a', ...MINE], db.env)).code).toBe(0);
    const pending = await cli(['status', '--pending', ...MINE], db.env);
    expect(pending.stdout).toMatch(/^MIGRATION +STATE +APPLIED AT\n0002_b +pending\n1 applied, 1 pending/);
    const { child, ended } = startCli(['status', '--watch', ...MINE], db.env);
    let seen = '';
    await new Promise<void>((resolve) =>
      child.stdout?.on('data', (text) => {
        seen += text;
        if (seen.split('Migration lock: free.').length > 2) resolve();
      }),
    );
    child.kill('SIGINT');
    expect((await ended).code).toBe(0);
    expect((await cli(['status', '--watch', '--json', ...MINE], db.env)).code).toBe(2);
  });

  it('--format prometheus: pending, unknown, ahead, the last run; drift when it is asked for', async () => {
    const db = await createDatabase();
    const file = folder({
      env: Object.entries(db.env)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    });
    const metrics = async (...args: string[]) => {
      const run = await cli(['status', '--format', 'prometheus', '--env-file', `${file}/env`, ...args]);
      expect(run.code, run.stderr).toBe(0);
      return Object.fromEntries(
        [...run.stdout.matchAll(/^kasm_db_(\w+)\{database="(.*)",host="127\.0\.0\.1"\} (\d+)$/gm)].map(
          ([, name, , value]) => [name, Number(value)],
        ),
      );
    };
    const none = {
      migrations_applied: 0,
      migrations_pending: 19,
      migrations_unknown: 0,
      migrations_changed: 0,
      ahead: 0,
    };
    expect(await metrics()).toEqual(none);
    expect((await cli(['migrate'], db.env)).code).toBe(0);
    await db.query('ALTER TABLE users ADD COLUMN mine int');
    const after = { ...none, migrations_applied: 19, migrations_pending: 0, last_run_failed: 0 };
    expect(await metrics('--drift')).toMatchObject({ ...after, drift: 1, seconds_since_last_run: expect.any(Number) });
    expect(await metrics()).not.toHaveProperty('drift');
  });

  it('what an earlier run has locked is left out where the last run could not record what it has', async () => {
    const db = await createDatabase();
    const sql = (name: string) => `ALTER TABLE a ADD COLUMN ${name} int;`;
    const files = { '0001_a.sql': 'CREATE TABLE a (id int);', '0002_b.sql': sql('b'), '0003_c.sql': sql('c') };
    const run = async (...args: string[]) => {
      const { code, stderr, json } = await cli([...args, '--json', '--migrations', folder(files)], db.env);
      expect(code, stderr).toBe(0);
      return (json().applied ?? []).filter(({ locks }) => locks).map(({ name }) => name);
    };
    await run('migrate', '--to', '0001_a');
    expect(await run('migrate', '--to', '0002_b')).toEqual(['0002_b']);
    expect(await run('status')).toEqual(['0002_b']);
    await db.superQuery(`ALTER TABLE kasm_db.locks OWNER TO postgres; GRANT SELECT ON kasm_db.locks TO ${db.user}`);
    expect(await run('migrate')).toEqual(['0003_c']);
    expect(await run('status')).toEqual([]);
  });
});
