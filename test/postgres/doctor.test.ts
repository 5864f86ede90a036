import { describe, expect, it } from 'vitest';
import { cli } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';

describe('doctor › settings', () => {
  it('says of each where it came from and what it hides, never the value of a secret', async () => {
    const db = await createDatabase();
    const secret = `tcp://${SECRET_MARK}x`;
    const run = await cli(['doctor', '--json', '--connect-timeout', '20s'], {
      ...db.env,
      PGHOST: 'elsewhere.invalid',
      PGSSLMODE: 'prefer',
      PGPASSWORD: secret,
      PGSSLPASSWORD: secret,
      PGCONNECT_TIMEOUT: '5',
      POSTGRES_HOSTNAME: 'x',
      PGSSLMOED: 'require',
    });
    const lines = (run.json().checks ?? []).filter(({ name }) => name === 'settings');
    expect(lines.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        `host 127.0.0.1:${db.port} (POSTGRES_HOST), hides PGHOST`,
        `user ${db.user} (POSTGRES_USER)`,
        'password set (POSTGRES_PASSWORD), hides PGPASSWORD',
        'sslpassword set (PGSSLPASSWORD)',
        'sslmode prefer (PGSSLMODE)',
        'connect_timeout 20.0 s (--connect-timeout), hides PGCONNECT_TIMEOUT',
      ]),
    );
    expect(lines.filter(({ state }) => state === 'warning')).toEqual([
      expect.objectContaining({ text: 'POSTGRES_HOSTNAME is not a setting', fix: 'did you mean POSTGRES_HOST?' }),
      expect.objectContaining({ text: 'PGSSLMOED is not a setting', fix: 'did you mean PGSSLMODE?' }),
    ]);
    expect(run.stdout + run.stderr).not.toContain(secret);
  });

  it.each([
    ['POSTGRES_HOST', 'postgres://app:hunter2@db/kasm', 'host (POSTGRES_HOST) holds a URL'],
    ['POSTGRES_HOST', 'db:5432', 'host (POSTGRES_HOST) holds a port'],
    ['POSTGRES_HOST', 'hunter2@db', 'host (POSTGRES_HOST) holds an @'],
    ['PGGSSENCMODE', 'require', 'gssencmode "require" (PGGSSENCMODE) is not supported'],
  ])('%s=%s is exit 2, in every command', async (name, value, message) => {
    for (const command of ['check', 'doctor', 'status']) {
      const run = await cli([command, '--json'], { POSTGRES_USER: 'app', PGHOST: '127.0.0.1', [name]: value });
      expect(run.json()).toMatchObject({ exitCode: 2, error: { message } });
      expect(run.stdout + run.stderr).not.toMatch(/hunter2|:5432/);
    }
  });
});
