/** One row of kasm_db.migrations. */
export interface HistoryRow {
  name: string;
  checksum: string;
  kind: 'sql' | 'adopted' | 'repaired';
  minCompatible: string | null;
  /** Both null for a migration that ran in one transaction. */
  statementsDone: number | null;
  statementsTotal: number | null;
  appVersion: string;
}

/** What the plan is made from; all of it comes from one look at the database. */
export interface DatabaseState {
  /** undefined: there is no history yet. */
  history: readonly HistoryRow[] | undefined;
  /** Tables in `public`, looked up only where there is no history. */
  publicTables: readonly string[];
  /** alembic_version's value; undefined: no such table, or not looked up. */
  vendorVersion: string | undefined;
}

/** The one row of kasm_db.run: the run in progress, or the last one. */
export interface RunRow {
  runId: string;
  pid: number;
  applicationName: string;
  clientAddr: string | null;
  appVersion: string;
  startedAt: string;
  /** Milliseconds since then by the server's clock; not known where no migration is applied. */
  ageMs?: number;
  phase: 'migrate' | 'seed' | 'done' | 'failed';
  /** Migration being run, or that failed. */
  current: string | null;
  done: number;
  total: number;
  error: string | null;
  /** VERSION:DIGEST of the last seed. */
  seedDigest: string | null;
}

/** It says so; whether it still lives, the lock tells. */
export function isAtWork(run: RunRow | undefined): boolean {
  return run?.phase === 'migrate' || run?.phase === 'seed';
}

/** A history row with what only a report needs. */
export interface FullHistoryRow extends HistoryRow {
  /** Only where it was asked for. */
  appliedAt?: string;
  /** Milliseconds; null while a statement of a no-transaction migration runs outside a transaction, or when a run died in it. */
  durationMs: number | null;
}

/** Everything that one look at the database tells, in one round trip. */
export interface Look extends DatabaseState {
  history: FullHistoryRow[] | undefined;
  run: RunRow | undefined;
  /** The one of several hosts that answered. */
  server?: { host: string; port: number };
  /** server_version_num, such as 160014. */
  serverVersion: number;
  /** Someone holds the migration lock; undefined: nobody looked, or a standby, which doesn't show it. */
  lockHeld?: boolean | undefined;
  /** Sessions that this database has served since its statistics began (before PostgreSQL 14: transactions). */
  sessions?: number | undefined;
  /** The database's, where sessions were counted. */
  databaseOid?: number | undefined;
  /** Hot standby. */
  standby: boolean;
  /** Some pooler answers, not the server itself: the PID we were told at login isn't the one that answers (TRAPS 2). */
  pooled: boolean;
}
