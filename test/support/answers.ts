import pg from 'pg';

export interface Login {
  port: number;
  user: string;
  password: string;
  database: string;
}

/** A row where whoever listens on the port lets this login in and answers a query, none otherwise: for `waitFor`. */
export async function answers(login: Login): Promise<unknown[]> {
  const client = new pg.Client({ host: '127.0.0.1', ssl: false, ...login });
  client.on('error', () => {});
  try {
    await client.connect();
    // With a parameter, since a pooler may refuse messages of the simple protocol (disable_pqexec).
    return (await client.query('SELECT $1::int', [1])).rows;
  } catch {
    return [];
  } finally {
    await client.end().catch(() => {});
  }
}
