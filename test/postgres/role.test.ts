import { describe, expect, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const secrets = folder(newSecrets());

/** As logins from Vault or IAM: new ones all the time, members of the owner that have its rights only after SET ROLE. */
async function passingLogin(db: TestDatabase, grant: string): Promise<Record<string, string>> {
  const { user, env } = await createLogin(db, 'passing');
  await db.superQuery(`ALTER ROLE ${user} NOINHERIT; GRANT ${db.user} TO ${user} ${grant}`);
  return { ...env, KASM_DB_ROLE: db.user };
}

const COMMANDS: [args: string[], code: number][] = [
  [['migrate'], 0],
  [['check'], 0],
  [['status'], 0],
  [['plan'], 0],
  [['seed', '--secrets', secrets], 0],
  [['check', '--seed'], 0],
  [['verify'], 0],
  [['doctor'], 0],
  [['adopt'], 0],
  [['repair', '--yes'], 0],
  [['rollback', '--steps', '1', '--allow-data-loss'], 0],
];

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › --role with logins that do not inherit', (version) => {
  it('trap 44: every command twice, each time with another login that is NOINHERIT', async () => {
    const db = await createDatabase(version);
    const logins = [
      await passingLogin(db, ''),
      await passingLogin(db, version >= 16 ? 'WITH INHERIT FALSE, SET TRUE' : ''),
    ];
    for (const [args, code] of COMMANDS) {
      for (const env of logins) {
        const run = await cli([...args, '--json'], env);
        expect(run.code, `${args[0]}: ${run.stderr}`).toBe(code);
      }
    }
    const owners = await db.superQuery(
      `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
       WHERE nspname IN ('public', 'kasm_db') AND relkind = 'r'`,
    );
    expect(owners).toEqual([{ owner: db.user }]);
  });

  it('a membership that may not SET ROLE, or none, is told as that', async () => {
    const db = await createDatabase(version);
    const none = await createLogin(db, 'none');
    const refused: Record<string, string>[] = [{ ...none.env, KASM_DB_ROLE: db.user }];
    if (version >= 16) refused.push(await passingLogin(db, 'WITH INHERIT TRUE, SET FALSE'));
    for (const env of refused) {
      for (const command of ['check', 'migrate']) {
        const run = await cli([command, '--json'], env);
        expect(run.code, run.stderr).toBe(9);
        expect(run.json().error).toMatchObject({
          message: expect.stringContaining(`SET ROLE "${db.user}"`),
          hint: expect.stringContaining('WITH SET TRUE'),
        });
      }
    }
  });
});
