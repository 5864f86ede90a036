import { describe, expect, it } from 'vitest';
import { resolveSettings } from '../../src/config/settings.js';
import { look } from '../../src/history/look.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › look', (version) => {
  // Inside a transaction it takes the careful way.
  it.each([
    ['in columns, with the times', { times: true }],
    ['in columns, because there may be many', { expected: 1000 }],
    ['copied', {}],
  ])('reads the history %s, as the careful way does', async (_, how) => {
    const db = await createDatabase(version);
    await migrate(db, folder({ '0002_b.sql': 'SELECT 2;\n', '0001_a.sql': 'SELECT 1;\n' }));
    await db.query(
      "CREATE TABLE public.alembic_version (version_num text); INSERT INTO public.alembic_version VALUES ('a')",
    );
    const insert = (values: string) =>
      db.query(
        `INSERT INTO kasm_db.migrations (checksum, app_version, name, kind, duration_ms, min_compatible, statements_done, statements_total) VALUES ('x', '1.0', ${values})`,
      );
    await insert(`'0004_d', 'adopted', 7, '0002', NULL, NULL`);
    await insert(`'0003_c', 'sql', NULL, NULL, 1, 2`);
    const client = await connect(() => resolveSettings({}, db.env, { direct: false }));
    try {
      const ages: (number | undefined)[] = [];
      const both = async () => {
        const options = { vendor: true, ...how };
        const usual = await look(client, options);
        await client.query('BEGIN');
        const careful = await look(client, options);
        await client.query('ROLLBACK');
        // How long the run goes on is for who waits, and waits for a usual history.
        ages.push(usual.run?.ageMs);
        delete usual.run?.ageMs;
        if (!('times' in how))
          for (const row of [...(careful.history ?? []), ...(usual.history ?? [])]) delete row.appliedAt;
        expect(usual).toEqual(careful);
        return usual.history ?? [];
      };
      expect(await both()).toMatchObject([
        { name: '0001_a', kind: 'sql', minCompatible: null, statementsTotal: null, durationMs: expect.any(Number) },
        { name: '0002_b', ...('times' in how ? { appliedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) } : {}) },
        { name: '0003_c', statementsDone: 1, statementsTotal: 2, durationMs: null },
        { name: '0004_d', kind: 'adopted', minCompatible: '0002', durationMs: 7 },
      ]);
      await db.query(`UPDATE kasm_db.run SET error = E'a\\tb\\nc\\\\N\\\\n', client_addr = E'\\\\N', current = 'é'`);
      await client.query("SET timezone TO 'Asia/Kolkata'; SET datestyle TO German");
      await both();
      await client.query('SET timezone TO -3');
      await insert(`E'0005_e\\n"0006_f', 'sql', 1, NULL, NULL, NULL`);
      expect((await both()).at(-1)?.name).toBe('0005_e\n"0006_f');
      const read = 'times' in how || 'expected' in how ? undefined : expect.any(Number);
      expect(ages).toEqual([expect.any(Number), expect.any(Number), read]);
      // Older than a millisecond and younger than the test.
      expect(ages[0]).toBeGreaterThan(0);
      expect(ages[0]).toBeLessThan(60_000);
    } finally {
      await disconnect(client);
    }
  });

  it.each([
    [
      'a view',
      'ALTER TABLE kasm_db.run RENAME TO run_; CREATE VIEW kasm_db.run AS SELECT * FROM kasm_db.run_',
      undefined,
    ],
    [
      'a column that is computed',
      'ALTER TABLE kasm_db.migrations DROP statements_done; ALTER TABLE kasm_db.migrations ADD statements_done integer GENERATED ALWAYS AS (1) STORED',
      undefined,
    ],
    ['a time after the year 9999', "UPDATE kasm_db.run SET started_at = '20000-01-01'", undefined],
    ['numbers as text', 'ALTER TABLE kasm_db.migrations ALTER statements_done TYPE text', undefined],
    [
      'no numbers',
      "ALTER TABLE kasm_db.migrations ALTER statements_done TYPE text; UPDATE kasm_db.migrations SET statements_done = 'x'",
      { outcome: 'integrity' },
    ],
    ['another column', 'ALTER TABLE kasm_db.run RENAME phase TO stage', { outcome: 'integrity' }],
  ])('of tables that are not as they should be (%s), says so or reads them', async (_, change, refused) => {
    const db = await createDatabase(version);
    await migrate(db, folder({ '0001_a.sql': 'SELECT 1;\n' }));
    await db.query(change);
    const client = await connect(() => resolveSettings({}, db.env, { direct: false }));
    try {
      const looked = look(client, { vendor: false });
      if (refused) await expect(looked).rejects.toMatchObject(refused);
      else {
        const { history, run } = await looked;
        expect(history).toMatchObject([{ name: '0001_a' }]);
        expect(run?.phase).toBe('done');
        expect(run?.ageMs).not.toBeNaN();
      }
    } finally {
      await disconnect(client);
    }
  });
});
