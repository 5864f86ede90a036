import { expect, it } from 'vitest';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { ONE } from '../support/migrations.js';

const FILES = folder(ONE);

it.each([
  ['@ : / % #', `${SECRET_MARK}a@b:c/d%41#e?f&g=h`],
  ['spaces and quotes', `${SECRET_MARK} a 'b' "c" \\d `],
  ['non-ASCII', `${SECRET_MARK}grün-ключ-鍵-🔑`],
])('trap 29: a password with %s connects, by variable, by URL and by file', async (_, password) => {
  const db = await createDatabase();
  await db.superQuery(`ALTER ROLE ${db.user} PASSWORD '${password.replaceAll("'", "''")}'`);
  const { POSTGRES_PASSWORD: _password, ...env } = db.env;
  const url = `postgresql://${db.user}:${encodeURIComponent(password)}@127.0.0.1:${db.port}/${db.name}`;
  const logins: Record<string, string>[] = [
    { ...env, POSTGRES_PASSWORD: password },
    { KASM_DB_URL: url },
    // As `kubectl create secret --from-file` leaves it: with the editor's newline.
    { ...env, POSTGRES_PASSWORD_FILE: `${folder({ password: `${password}\n` })}/password` },
  ];
  for (const login of logins) {
    const run = await cli(['migrate', '--json', '--migrations', FILES, '--connect-timeout', '5s'], login);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout + run.stderr).not.toContain(SECRET_MARK);
  }
});
