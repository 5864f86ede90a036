import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version } from '../support/database.js';

/**
 * What Kasm's documents and its users run by hand against a Kasm database, in our own words: tables, columns and the shape of each
 * statement are the facts (Kasm's admin recovery page, chart gate, and public notes of users of 1.13 to 1.19).
 */
const statements = readFileSync(join(import.meta.dirname, '../fixtures/kasm/vendor-statements.sql'), 'utf8')
  .split(/^-- > /m)
  .slice(1)
  .map((block) => {
    const [title = '', ...sql] = block.split('\n');
    const [, name = title, rows] = /^(.*?)(?: \[(\d+)\])?$/.exec(title) ?? [];
    return { name, rows: rows === undefined ? undefined : Number(rows), sql: sql.join('\n').trim() };
  });

it('the collection has at least 40 statements', () => {
  expect(statements.length).toBeGreaterThanOrEqual(40);
});

describe.each([13, 16, 18] as Version[])('PostgreSQL %i › SQL of documents and users runs unchanged', (version) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase(version);
    const run = await cli(['migrate'], db.env);
    expect(run.code, run.stderr).toBe(0);
    await db.query(readFileSync(join(import.meta.dirname, '../fixtures/kasm/vendor-data.sql'), 'utf8'));
  });

  // In order, as the owner, each on a connection of its own and as one message, like psql -c.
  it.each(statements.map(({ name, sql, rows }) => [name, sql, rows] as const))('%s', async (_, sql, rows) => {
    const client = await db.connect();
    try {
      const results = [await client.query(sql)].flat();
      if (rows !== undefined) expect(results.at(-1)?.rowCount).toBe(rows);
    } finally {
      await client.end();
    }
  });

  it("the vendor's gate finds a zone and, besides the schema, nothing that it has to wait for", async () => {
    expect((await db.query('select zone_id from zones')).length).toBeGreaterThanOrEqual(1);
    expect(await db.query('SELECT count(*)::int AS n FROM settings')).toEqual([{ n: 4 }]);
    expect((await cli(['check'], db.env)).code).toBe(0);
  });
});
