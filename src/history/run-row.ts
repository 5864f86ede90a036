import { randomUUID } from 'node:crypto';
import { escapeLiteral } from 'pg';
import { withoutSecrets } from '../app/secrets.js';
import { VERSION } from '../app/version.js';
import { applicationName } from '../postgres/session-settings.js';
import type { RunRow } from './state.js';

/** What a run writes about itself into kasm_db.run; as SQL text, so that it travels with the message that commits. */
export interface RunLog {
  id: string;
  /** @param first migration to be run */
  start(total: number, phase: 'migrate' | 'seed', first?: string): string;
  progress(values: { current: string | null; done: number }): string;
  finish(phase: Extract<RunRow['phase'], 'done'>): string;
  /** The seed is in; in its own transaction. */
  seeded(digest: string): string;
  fail(message: string): string;
}

/** In place of a digest: a program that `once` has run has seeded the database, from documents that nobody else knows. */
export const SEEDED_BY_PROGRAM = 'once';

/** Long enough to recognise an error by, short enough to be read by every gate at every look. */
const ERROR_LENGTH = 500;

/** How the id of a rollback begins; older builds know no other sign of it. */
const ROLLBACK = 'rollback-';

/** Is it the row of a rollback? */
export function isRollback(runId: string): boolean {
  return runId.startsWith(ROLLBACK);
}

/** A run that has just begun, with an id that no other run has. */
export function newRun({ rollback = false } = {}): RunLog {
  const id = `${rollback ? ROLLBACK : ''}${randomUUID()}`;
  const mine = `WHERE id = 1 AND run_id = '${id}'`;
  return {
    id,
    start: (
      total,
      phase,
      first,
    ) => `INSERT INTO kasm_db.run (id, run_id, pid, application_name, client_addr, app_version, started_at, phase, current, done, total)
VALUES (1, '${id}', pg_backend_pid(), ${escapeLiteral(applicationName())}, host(inet_client_addr()), ${escapeLiteral(VERSION)}, now(), '${phase}', ${first === undefined ? 'NULL' : escapeLiteral(first)}, 0, ${total})
ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, pid = excluded.pid, application_name = excluded.application_name,
  client_addr = excluded.client_addr, app_version = excluded.app_version, started_at = excluded.started_at, phase = excluded.phase,
  current = excluded.current,
  done = 0, total = excluded.total, error = NULL`,
    progress: ({ current, done }) =>
      `UPDATE kasm_db.run SET current = ${current === null ? 'NULL' : escapeLiteral(current)}, done = ${done} ${mine}`,
    finish: (phase) => `UPDATE kasm_db.run SET phase = '${phase}', current = NULL, done = total ${mine}`,
    seeded: (digest) =>
      `UPDATE kasm_db.run SET phase = 'done', current = NULL, done = total, seed_digest = '${digest}' ${mine}`,
    fail: (message) =>
      `UPDATE kasm_db.run SET phase = 'failed', error = ${escapeLiteral(withoutSecrets(message).slice(0, ERROR_LENGTH))} ${mine}`,
  };
}
