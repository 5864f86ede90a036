import { describe, expect, it } from 'vitest';
import { cli } from '../support/cli.js';
import { createDatabase, VERSIONS } from '../support/database.js';

describe.each(VERSIONS)('PostgreSQL %i › migrate', (version) => {
  it('brings an empty database to the newest version, once', async () => {
    const db = await createDatabase(version);
    expect((await cli(['check', '--json'], db.env)).code).toBe(3);
    const first = await cli(['migrate', '--json'], db.env);
    expect(first.stderr).not.toMatch(/error/i);
    expect(first.code).toBe(0);
    expect(first.json().applied).toHaveLength(19);
    expect((await cli(['--check'], db.env)).code).toBe(0);
    const second = await cli(['migrate', '--json'], db.env);
    expect(second.json()).toMatchObject({ outcome: 'ok', applied: [] });
  });
});
