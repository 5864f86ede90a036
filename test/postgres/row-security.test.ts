import { beforeAll, describe, expect, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const secrets = folder(newSecrets());
const OURS = ['kasm_db.migrations', 'kasm_db.run', 'kasm_db.seeds'];
const all = (what: string, tables: readonly string[]) =>
  tables.map((table) => `ALTER TABLE ${table} ${what}`).join('; ');

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › row security', (version) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase(version);
    expect((await migrate(db, undefined, '--seed', '--secrets', secrets)).code).toBe(0);
  });

  const call = (...args: string[]) => cli([...args, '--json'], db.env);

  it('enabled, as by a host’s event trigger, does not concern the owner', async () => {
    await db.superQuery(all('ENABLE ROW LEVEL SECURITY', [...OURS, 'public.users', 'public.alembic_version']));
    for (const args of [
      ['check'],
      ['seed', '--secrets', secrets, '--rotate', 'admin-password'],
      ['rollback', '--steps', '1'],
      ['migrate'],
      ['status'],
    ]) {
      const run = await call(...args);
      expect(run.code, `${args[0]}: ${run.stderr}`).toBe(0);
    }
  });

  it('trap 54: where it hides the history, that is named; it never reads as empty', async () => {
    const gate = await createLogin(db, 'gate');
    await db.superQuery(
      `GRANT USAGE ON SCHEMA kasm_db TO ${gate.user}; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${gate.user}`,
    );
    const seen = await cli(['check', '--json'], gate.env);
    expect(seen.code, seen.stderr).toBe(6);
    expect(seen.json().error).toMatchObject({
      message: expect.stringContaining('row security hides rows of kasm_db.migrations'),
      hint: expect.stringContaining('DISABLE ROW LEVEL SECURITY'),
    });
    await db.superQuery(all('FORCE ROW LEVEL SECURITY', ['kasm_db.migrations']));
    for (const command of ['check', 'status', 'plan', 'migrate', 'adopt', 'verify', 'rollback']) {
      const run = await call(command, ...(command === 'rollback' ? ['--steps', '1'] : []));
      expect(run.code, `${command}: ${run.stderr}`).toBe(6);
      expect(run.json().error?.message).toContain('row security hides rows of kasm_db.migrations');
    }
    await db.superQuery(all('NO FORCE ROW LEVEL SECURITY', ['kasm_db.migrations']));
  });

  it.each([
    'public.users',
    'kasm_db.seeds',
  ])('trap 54: forced on %s, a rotation that cannot happen is not 0', async (table) => {
    await db.superQuery(`${all('ENABLE ROW LEVEL SECURITY', [table])}; ${all('FORCE ROW LEVEL SECURITY', [table])}`);
    const run = await call('seed', '--secrets', secrets, '--rotate', 'admin-password');
    expect(run.code, run.stderr).toBe(6);
    expect(run.json().error?.message).toContain(`row security hides rows of ${table}`);
    await db.superQuery(all('NO FORCE ROW LEVEL SECURITY', [table]));
  });

  it('trap 54: rows that it hides are rows: rollback drops no table that it takes for empty', async () => {
    const other = await createDatabase(version);
    const files = folder({
      '0001_one.sql':
        'CREATE TABLE one (x int);\nALTER TABLE one ENABLE ROW LEVEL SECURITY;\nALTER TABLE one FORCE ROW LEVEL SECURITY;\n',
      '0001_one.down.sql': 'DROP TABLE one;\n',
    });
    expect((await migrate(other, files)).code).toBe(0);
    await other.superQuery('INSERT INTO one VALUES (1)');
    const run = await cli(['rollback', '--steps', '1', '--migrations', files, '--json'], other.env);
    expect(run.code, run.stderr).not.toBe(0);
    expect(run.json().error?.message).toMatch(/row-level security policy for table "one"|row security/);
    expect(await other.superQuery('SELECT x FROM one')).toEqual([{ x: 1 }]);
  });
});
