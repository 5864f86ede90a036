import { recordSql, unmarkSql } from '../history/record.js';
import type { Migration } from '../migrations/files.js';
import { progressSql, type Run } from './run.js';
import { locksSql, recordOf } from './storage.js';

/** How a file's progress is recorded; SQL throughout. */
export interface Recording {
  /** Statements that an earlier run has recorded as done. */
  done: number;
  /** 1-based number of the statement that an earlier run had begun when it died. */
  begun: number | undefined;
  /** The next statement is being run: should this run die in it, a later one knows. */
  mark: (done: number, total: number) => string;
  /** It has failed, and the server said so. */
  unmark: () => string;
  /** So many statements are done. */
  record: (done: number, total: number, ms: number) => Promise<string>;
  /** A DROP of what is not there is done: an earlier run may have come so far (a down migration keeps no count). */
  dropsAgain?: boolean;
}

/** As the history has it: how far an earlier run came. */
export function recordingOf(run: Run, migration: Migration): Recording {
  const row = run.lock.state.history?.find(({ name }) => name === migration.name);
  const begun = row && row.statementsTotal !== null && row.durationMs === null;
  const recorded = (durationMs: number | null, done: number, total: number) =>
    recordSql({ ...recordOf(migration), durationMs, statements: { done, total } });
  return {
    done: row?.statementsDone ?? 0,
    // The mark stays unless the statement's end was seen.
    begun: begun ? (row.statementsDone ?? 0) + 1 : undefined,
    mark: (done, total) => recorded(null, done, total),
    unmark: () => unmarkSql(migration.name),
    record: async (done, total, ms) => {
      const ended = done < total ? [] : [...locksSql(run, migration.name), progressSql(run, migration.name)];
      return [recorded(ms, done, total), ...ended].join('; ');
    },
  };
}
