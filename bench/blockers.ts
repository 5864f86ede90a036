// Who has the table that a migration needs.
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { BenchServer } from './support.js';

const HELD_S = 15;
const SHORT = { clients: 6, s: 0.3 };
/** Slow enough that no worker is through before the migration is, whatever the migrator. */
const SLOW_VACUUM = `ALTER TABLE busy SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1); DELETE FROM busy WHERE id % 2 = 0`;

export interface Blocker {
  name: string;
  /** Has the table when it resolves. @returns lets it go, where it has not ended by itself */
  begin(server: BenchServer, database: string): Promise<() => Promise<void>>;
}

export const BLOCKERS: Blocker[] = [
  {
    name: 'idle transaction of 15 s',
    begin: (server, database) => held(server, database, 'SELECT count(*) FROM busy'),
  },
  { name: 'short transactions', begin: shortTransactions },
  {
    // What pg_dump does: PostgreSQL's own takes no newer server than itself, and machines have old ones.
    name: 'pg_dump of 15 s',
    begin: (server, database) =>
      held(
        server,
        database,
        "SET application_name = 'pg_dump'; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; LOCK TABLE busy IN ACCESS SHARE MODE",
        `SELECT pg_sleep(${HELD_S})`,
      ),
  },
  { name: 'autovacuum, deadlock_timeout 1 s', begin: (server, database) => autovacuum(server, database, '1s') },
  { name: 'autovacuum, deadlock_timeout 5 s', begin: (server, database) => autovacuum(server, database, '5s') },
];

/** A transaction that has the table for 15 s; it is busy meanwhile where there is a `query`, else idle. */
async function held(server: BenchServer, database: string, first: string, query?: string) {
  const client = await server.connect(database);
  await client.query('BEGIN');
  await client.query(first);
  const over = (query ? client.query(query) : sleep(HELD_S * 1000)).then(() => client.query('COMMIT'));
  return async () => {
    await over;
    await client.end();
  };
}

/** There is always one that has the table. */
async function shortTransactions(server: BenchServer, database: string) {
  const clients = await Promise.all(Array.from({ length: SHORT.clients }, () => server.connect(database)));
  let going = true;
  const loops = clients.map(async (client: pg.Client, i) => {
    await sleep((i * SHORT.s * 1000) / SHORT.clients);
    while (going) await client.query(`BEGIN; SELECT count(*) FROM busy; SELECT pg_sleep(${SHORT.s}); COMMIT`);
    await client.end();
  });
  await sleep(SHORT.s * 1000);
  return async () => {
    going = false;
    await Promise.all(loops);
  };
}

async function autovacuum(server: BenchServer, database: string, deadlockTimeout: string) {
  await server.query(database, `ALTER SYSTEM SET deadlock_timeout = '${deadlockTimeout}'`);
  await server.query(database, "ALTER SYSTEM SET autovacuum_naptime = '1s'");
  await server.query(database, 'SELECT pg_reload_conf()');
  await server.query(database, SLOW_VACUUM);
  const working = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass";
  while ((await server.query(database, working)).length === 0) await sleep(100);
  return async () => {
    await server.query(database, 'ALTER SYSTEM RESET ALL');
    await server.query(database, 'ALTER SYSTEM SET ssl = on');
    await server.query(database, 'SELECT pg_reload_conf()');
  };
}
