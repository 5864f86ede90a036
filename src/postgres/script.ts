import pg from 'pg';
import type { Client } from './client.js';

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
  return new Promise((resolve, reject) => void client.query(new Script(sql, run, resolve, reject) as never));
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
