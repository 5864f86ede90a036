// umzug with pg as its manual shows it: SQL files, a table as storage, each migration in a transaction.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { Umzug } from 'umzug';

const folder = process.argv[2];
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query('CREATE TABLE IF NOT EXISTS umzug_migrations (name text PRIMARY KEY)');
const files = readdirSync(folder).filter((file) => file.endsWith('.sql'));
const umzug = new Umzug({
  migrations: files.sort().map((name) => ({
    name,
    up: async () => {
      await client.query('BEGIN');
      try {
        await client.query(readFileSync(join(folder, name), 'utf8'));
        await client.query('COMMIT');
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    },
  })),
  storage: {
    executed: async () => (await client.query('SELECT name FROM umzug_migrations')).rows.map(({ name }) => name),
    logMigration: async ({ name }) => {
      await client.query('INSERT INTO umzug_migrations VALUES ($1)', [name]);
    },
    unlogMigration: async ({ name }) => {
      await client.query('DELETE FROM umzug_migrations WHERE name = $1', [name]);
    },
  },
  logger: undefined,
});
await umzug.up().finally(() => client.end());
