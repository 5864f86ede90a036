import pg from 'pg';
import type { Client } from './client.js';
import { isServerError } from './server-error.js';

export interface ScriptRun {
  /** Statements that the server has completed, also when a later one failed. */
  completed: number;
  /** Their command tags, where they are asked for: `CREATE TABLE`, `UPDATE 1`, `COMMIT`. */
  tags?: string[];
}

/**
 * Runs SQL text (one or many statements) as one simple-protocol message and drops its rows, so that memory stays bounded.
 * @param run told how far it came
 */
export function sendScript(client: Client, sql: string, run: ScriptRun): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(client.reported.server_encoding === 'SQL_ASCII' ? inCharacters(error, sql) : error);
    client.query(new Script(sql, run, resolve, fail) as never);
  });
}

/** A database in SQL_ASCII knows no characters: where an error is, it counts in bytes. */
function inCharacters(error: unknown, sql: string): unknown {
  if (!isServerError(error) || !error.position) return error;
  const before = Buffer.from(sql, 'utf8').subarray(0, Number(error.position) - 1);
  return Object.assign(error, { position: String([...before.toString('utf8')].length + 1) });
}

/** pg keeps a result with fields and rows for every statement; here nothing is kept but what was asked for. */
class Script extends (pg.Query as unknown as new (sql: string) => object) {
  constructor(
    sql: string,
    private readonly run: ScriptRun,
    readonly handleReadyForQuery: () => void,
    readonly handleError: (error: unknown) => void,
  ) {
    super(sql);
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.run.completed++;
    this.run.tags?.push(text);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
}
