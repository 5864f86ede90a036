// The least that a Node program can do to ask PostgreSQL a question: the floor for `kasm-db --check`.
import { readFileSync } from 'node:fs';
import pg from 'pg';

const { POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD } = process.env;
const { PGSSLMODE, PGSSLROOTCERT } = process.env;
const ssl = {
  disable: () => false,
  require: () => ({ rejectUnauthorized: false }),
  'verify-full': () => ({ ca: readFileSync(PGSSLROOTCERT) }),
}[PGSSLMODE];
const client = new pg.Client({
  host: POSTGRES_HOST,
  port: Number(POSTGRES_PORT),
  database: POSTGRES_DB,
  user: POSTGRES_USER,
  password: POSTGRES_PASSWORD,
  ssl: ssl(),
});
client
  .connect()
  .then(() => client.query('SELECT count(*) FROM kasm_db.migrations'))
  .then(({ rows }) => console.log(rows[0].count))
  .then(() => client.end());
