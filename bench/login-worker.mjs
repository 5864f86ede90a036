// Bare logins in one thread, a few at a time: what any 500 confirmations would cost at least.
import { parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';

const { logins, atOnce, env } = workerData;
let left = logins;
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (left-- > 0) {
      const client = new pg.Client({
        host: env.POSTGRES_HOST,
        port: Number(env.POSTGRES_PORT),
        user: env.POSTGRES_USER,
        password: env.POSTGRES_PASSWORD,
        database: 'postgres',
        ssl: false,
      });
      await client.connect();
      await client.query('SELECT 1');
      await client.end();
    }
  }),
);
parentPort.postMessage('done');
