import { describe, expect, it } from 'vitest';
import { migrate } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { ONE } from '../support/migrations.js';
import { checkOnTheWire } from '../support/round-trips.js';

describe('round trips on the wire', () => {
  it.each([
    ['the migrations that ship with it', undefined],
    ['a folder', folder(ONE)],
  ])('a check of %s: at most 6 beyond those of the login', async (_, files) => {
    const db = await createDatabase();
    await migrate(db, files);
    const trips = await checkOnTheWire(db.port, async (port) => {
      const args = ['--check', ...(files ? ['--migrations', files] : [])];
      const run = await cli(args, { ...db.env, POSTGRES_PORT: String(port), PGSSLMODE: 'disable' });
      expect(run.code, run.stderr).toBe(0);
    });
    // Startup, and SCRAM's two messages.
    expect(trips.authentication).toBe(3);
    expect(trips.others).toBeGreaterThan(0);
    expect(trips.others).toBeLessThanOrEqual(6);
  });
});
