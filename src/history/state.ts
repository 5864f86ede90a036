import type { LockHolder } from '../app/lock-holder.js';

/** What the plan is made from of a row of kasm_db.migrations. */
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

/** The whole row. */
export interface HistoryEntry extends HistoryRow {
  /** ISO 8601, UTC. */
  appliedAt: string;
  /** Null while a statement of a no-transaction migration runs outside a transaction, or when a run died in it. */
  durationMs: number | null;
}

/** The one row of kasm_db.run: the run in progress, or the last one. */
export interface RunRow {
  runId: string;
  pid: number;
  applicationName: string;
  clientAddr: string | null;
  appVersion: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  phase: 'migrate' | 'seed' | 'done' | 'failed';
  /** It undoes, or has undone. */
  rollback: boolean;
  /** Migration being run, or that failed; `once NAME` for a program. */
  current: string | null;
  done: number;
  total: number;
  error: string | null;
  /** VERSION:DIGEST of the last seed; VERSION:once where a program has written it. */
  seedDigest: string | null;
}

/** What the plan is made from. */
export interface DatabaseState {
  /** undefined: there is no history yet. */
  history: readonly HistoryRow[] | undefined;
  /** Tables in `public`, looked up only where there is no history. */
  publicTables: readonly string[];
  /** Of those that are plain tables: which hold a row, and which this role may not look into. Looked up only where there is no history, and it was asked for. */
  rows?: { filled: readonly string[]; unseen: readonly string[] } | undefined;
  /** alembic_version's value; undefined: no such table, or not looked up. */
  vendorVersion: string | undefined;
  /** Another value of it that `adopt` was told to accept in the place of the one that the migrations write. */
  acceptedVersion?: string | undefined;
}

/** Under which name kasm_db.differences has an accepted alembic_version. */
export const HEAD_OBJECT = 'alembic_version';

/** Kasm's own upgrade has changed the database since: its alembic_version is neither what was written nor what was accepted. */
export function isUpgradedByVendor(
  { vendorVersion, acceptedVersion }: DatabaseState,
  written: string | undefined,
): boolean {
  return vendorVersion !== undefined && vendorVersion !== written && vendorVersion !== acceptedVersion;
}

/** Who works on the database, and whose it is. */
export interface DatabaseOwner {
  /** The login, or the role that it works as. */
  user: string;
  owner: string;
  /** The owner may use what `user` makes. */
  ownerMayUse: boolean;
}

/** Everything that is read before anything is decided, all of it from one snapshot. */
export interface MigrationState extends DatabaseState {
  history: HistoryEntry[] | undefined;
  run: RunRow | undefined;
  /** The one of several hosts that answered. */
  server: { host: string; port: number };
  /** server_version_num, such as 160014. */
  serverVersion: number;
  /** Hot standby. */
  standby: boolean;
  /** Where default_transaction_read_only is on: who has set it, as pg_settings.source has it. */
  readOnlyBy?: string | undefined;
  /** Who holds the migration lock can be looked up: not on a standby, which doesn't show its primary's locks, nor where pg_locks is revoked. */
  seesLocks?: boolean;
  /** A pooler answers, not the server itself: the PID told at login isn't the one that answers. */
  pooled: boolean;
  owner: DatabaseOwner;
  /**
   * Someone holds the migration lock. Looked up only where the run row says that a run is at work; a standby doesn't show its primary's locks.
   */
  lockHeld: boolean | undefined;
  /** Who that is. */
  lockHolder: LockHolder | undefined;
}

/** It says so; whether it still lives, the lock tells. */
export function isAtWork(run: RunRow | undefined): boolean {
  return run?.phase === 'migrate' || run?.phase === 'seed';
}

/** It runs, or ran, a program of someone else's. */
export function isOnce(run: Pick<RunRow, 'current'> | undefined): boolean {
  return run?.current?.startsWith(ONCE) ?? false;
}

/** How `current` begins then; what follows is the name. */
export const ONCE = 'once ';

/** A no-transaction migration may have come to a part of its statements. */
export function isDone(row: Pick<HistoryRow, 'statementsDone' | 'statementsTotal'>): boolean {
  return row.statementsTotal === null || row.statementsDone === row.statementsTotal;
}
