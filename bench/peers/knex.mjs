// knex's migrator on SQL files, as its manual shows it for a migration source of one's own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import knex from 'knex';

const folder = process.argv[2];
const database = knex({ client: 'pg', connection: process.env.DATABASE_URL });
const migrationSource = {
  getMigrations: async () =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .sort(),
  getMigrationName: (file) => file,
  getMigration: async (file) => ({
    // A question mark is a parameter to raw().
    up: (trx) => trx.raw(readFileSync(join(folder, file), 'utf8').replaceAll('?', '\\?')),
    down: async () => {},
  }),
};
try {
  await database.migrate.latest({ migrationSource });
} finally {
  await database.destroy();
}
