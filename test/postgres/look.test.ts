import { describe, expect, it } from 'vitest';
import { resolveSettings } from '../../src/config/settings.js';
import { look } from '../../src/migrate/look.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › look', (version) => {
  // Inside a transaction it takes the careful way, which reads row by row.
  it('reads the history in columns as it does in rows', async () => {
    const db = await createDatabase(version);
    await migrate(db, folder({ '0002_b.sql': 'SELECT 2;\n', '0001_a.sql': 'SELECT 1;\n' }));
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
        const options = { vendor: false, times: true };
        const inColumns = await look(client, options);
        await client.query('BEGIN');
        const inRows = await look(client, options);
        await client.query('ROLLBACK');
        // How long the run goes on is for who waits, and waits for a history that reads in columns.
        ages.push(inColumns.run?.ageMs);
        delete inColumns.run?.ageMs;
        expect(inColumns).toEqual(inRows);
        return inColumns.history ?? [];
      };
      expect(await both()).toMatchObject([
        { name: '0001_a', kind: 'sql', minCompatible: null, statementsTotal: null, durationMs: expect.any(Number) },
        { name: '0002_b', appliedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) },
        { name: '0003_c', statementsDone: 1, statementsTotal: 2, durationMs: null },
        { name: '0004_d', kind: 'adopted', minCompatible: '0002', durationMs: 7 },
      ]);
      await insert(`E'0005_e\\n"0006_f', 'sql', 1, NULL, NULL, NULL`);
      expect((await both()).at(-1)?.name).toBe('0005_e\n"0006_f');
      expect(ages).toEqual([expect.any(Number), undefined]);
    } finally {
      await disconnect(client);
    }
  });
});
