import fc from 'fast-check';
import type pg from 'pg';
import { expect, it } from 'vitest';
import type { Client } from '../../src/postgres/client.js';
import { capture } from '../../src/schema/capture.js';
import { introspectHere } from '../../src/schema/introspect.js';
import { emptyWorld, make, type Recipe, recipe } from '../fixtures/schema/random-schema.js';
import { createDatabase, type Version } from '../support/database.js';
import { rounds } from '../support/rounds.js';

const VERSIONS: Version[] = [13, 16, 18];

/** Makes a schema in the open transaction; what PostgreSQL refuses is left out. */
async function build(client: pg.Client, version: number, role: string, steps: Recipe): Promise<string[]> {
  const world = emptyWorld(version, role);
  const made: string[] = [];
  for (const step of steps) {
    const statement = make(world, step);
    if (!statement) continue;
    try {
      await client.query(`SAVEPOINT before; ${statement.sql}`);
      statement.then?.();
      made.push(statement.sql);
    } catch {
      await client.query('ROLLBACK TO SAVEPOINT before');
    }
  }
  return made;
}

it.each(VERSIONS)('PostgreSQL %i › capture → apply → introspect is the identity on random schemas', async (version) => {
  const db = await createDatabase(version);
  const role = `reader_${db.name}`;
  await db.superQuery(`CREATE ROLE ${role}`);
  const client = await db.connect();
  let tried = 0;
  let succeeded = 0;
  await fc.assert(
    fc.asyncProperty(recipe, async (steps) => {
      await client.query('BEGIN');
      const statements = await build(client, version, role, steps);
      tried += steps.length;
      succeeded += statements.length;
      const before = await introspectHere(client as Client);
      await client.query('ROLLBACK');
      const { sql } = capture(before, 'a random schema');
      await client.query('BEGIN; SET LOCAL search_path = public, pg_temp');
      try {
        await client.query(sql).catch((error) => {
          throw new Error(`${error.message}\n${statements.join(';\n')};\n-- captured:\n${sql}`);
        });
        const after = await introspectHere(client as Client);
        expect(after, `${statements.join(';\n')};\n-- captured:\n${sql}`).toEqual(before);
        expect(capture(after, 'a random schema').sql).toBe(sql);
      } finally {
        await client.query('ROLLBACK');
      }
    }),
    {
      endOnFailure: true,
      numRuns: rounds(15, 300),
      ...(process.env.KASM_DB_SEED ? { seed: Number(process.env.KASM_DB_SEED) } : {}),
    },
  );
  await client.end();
  expect(succeeded / tried, 'too little of what is tried is made').toBeGreaterThan(0.4);
}, 600_000);
