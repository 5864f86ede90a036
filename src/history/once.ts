import { escapeLiteral } from 'pg';
import type { Session } from '../postgres/session.js';
import { applicationName } from '../postgres/session-settings.js';
import { findHistoryTable } from './tables.js';

/** A row of kasm_db.once: a program that was run, and has ended with 0. */
export interface OnceRow {
  name: string;
  /** The program and the number of its arguments; their text may hold secrets. */
  command: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  finishedAt: string;
  runBy: string;
}

/** Reads the row of that name, in a transaction of its own. @returns undefined: it was never run to its end */
export function readOnce(session: Session, name: string): Promise<OnceRow | undefined> {
  return session.reading(
    async () => {
      if (!(await findHistoryTable(session, 'kasm_db.once'))) return undefined;
      const [row] = await session.query(
        `SELECT name, command, started_at AS "startedAt", finished_at AS "finishedAt", run_by AS "runBy" FROM kasm_db.once WHERE name = $1`,
        [name],
      );
      return row && { ...row, startedAt: row.startedAt.toISOString(), finishedAt: row.finishedAt.toISOString() };
    },
    { statementTimeoutMs: 5000 },
  );
}

/** SQL that records a program which has ended with 0. @param ms how long it ran */
export function recordOnceSql(name: string, command: string, ms: number): string {
  return `INSERT INTO kasm_db.once (name, command, started_at, finished_at, exit_code, run_by)
VALUES (${escapeLiteral(name)}, ${escapeLiteral(command)}, now() - interval '${Math.round(ms)} milliseconds', now(), 0, ${escapeLiteral(applicationName())})
ON CONFLICT (name) DO UPDATE SET command = excluded.command, started_at = excluded.started_at, finished_at = excluded.finished_at, run_by = excluded.run_by`;
}
