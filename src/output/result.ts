import type { Blocker } from '../app/blocker.js';
import type { ErrorDetails, Outcome } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';

/** What every command answers, and what `--json` prints; result.schema.json is made from src/output/schema.ts, which must agree. */
export interface Result {
  command: string;
  outcome: Outcome;
  exitCode: number;
  /** Of kasm-db. */
  version: string;
  database?: DatabaseInfo;
  target?: string;
  current?: string;
  /** `locks`: what each has locked until its COMMIT, of what was there before and others use too. */
  applied?: { name: string; ms: number; locks?: { relation: string; mode: string }[] }[];
  pending?: string[];
  /** Of `rollback`: what was undone, last applied first. */
  rolledBack?: { name: string; ms: number }[];
  /** Of `rollback --dry-run --allow-data-loss`: tables and columns that hold something and would go; rows are counted up to 1001. */
  losses?: { table: string; column?: string; rows: number }[];
  /** Of `rollback --dry-run`. */
  toRollBack?: string[];
  /** Of `repair`: what was changed. */
  repairs?: RepairInfo[];
  unknown?: string[];
  changed?: string[];
  /** `holder` of the migration lock; `blockers` of a table that a migration has to change; `cancelled`: those that were ended. */
  lock?: { waitedMs: number; holder?: LockHolder; blockers?: Blocker[]; cancelled?: Blocker[] };
  run?: RunInfo;
  seed?: SeedInfo;
  /** Of `once`; `ran`: now, by this call. Its exit code, or the signal that ended it. */
  once?: { name: string; ran: boolean; exitCode?: number; signal?: string; ms?: number };
  /** Of a seed: columns into which it wrote plain text for the first time, where a genuine Kasm API may expect what only its code can encrypt. */
  plainText?: string[];
  /** Of a seed and of `doctor`: columns, such as `settings.value`, in which values look encrypted by Kasm. */
  encrypted?: string[];
  /** Of `doctor`. */
  checks?: CheckLine[];
  /** Of `verify` and `adopt`. */
  differences?: DifferenceInfo[];
  /** Differences that were accepted when the database was adopted. */
  accepted?: DifferenceInfo[];
  /** Of `verify`: what is not ours (extensions, schemas, other owners' objects), and no drift. */
  others?: DifferenceInfo[];
  /** Of `adopt --add-missing`: ids of the indexes that were made. */
  added?: string[];
  /** Of `verify --fix-sql`. */
  fixSql?: string;
  /** Of `lint`. */
  findings?: { rule: string; file: string; line: number; message: string; why: string; safe: string }[];
  /** Of `plan`: table locks by statement. */
  locks?: {
    migration: string;
    line: number;
    statement: string;
    table: string;
    mode: string;
    rewrite: 'no' | 'yes' | 'maybe';
    fresh?: true;
  }[];
  /** Of `plan --rehearse`: what was applied to the copy, without rows; `compared`: with the snapshot, see `differences`. */
  rehearsal?: { applied: NonNullable<Result['applied']>; compared: boolean };
  /** Of `docs` without --out. */
  page?: string;
  /** Of `plan --sql`. */
  sql?: { migration: string; file: string; sql: string }[];
  warnings?: string[];
  durationMs: number;
  error?: ErrorInfo;
}

export interface DatabaseInfo {
  host: string;
  port: number;
  name: string;
  user: string;
  serverVersion?: string;
  connection?: 'direct' | 'pooled';
}

export interface RunInfo {
  phase: 'migrate' | 'seed' | 'done' | 'failed' | 'died';
  /** It undoes, or has undone. */
  rollback?: true;
  startedAt: string;
  by: string;
  current?: string;
  done: number;
  total: number;
  error?: string;
}

export interface ErrorInfo extends Omit<ErrorDetails, 'exitCode' | 'cause'> {
  code: Outcome;
  message: string;
}

export interface SeedInfo {
  /** Rows. */
  inserted: number;
  updated: number;
  unchanged: number;
  /** Rows that someone has changed or deleted, and that stay so. */
  kept: number;
  credentials: { key: string; action: 'set' | 'unchanged' | 'changed' | 'kept' | 'rotated' | 'absent' }[];
}

/** One way in which a database differs from what is expected. */
export interface DifferenceInfo {
  change: 'missing' | 'extra' | 'changed';
  /** `column public.users.email` */
  object: string;
  /** Table or view under which it is reported. */
  group: string;
  /** Of a changed object: what differs in it, such as `type`. */
  property?: string;
  /** Left out: it has no such property (no default, for example). */
  expected?: string;
  actual?: string;
}

export interface RepairInfo {
  what: 'applied' | 'pending' | 'checksum' | 'index' | 'restart';
  name: string;
  text: string;
}

export interface CheckLine {
  name: string;
  state: 'ok' | 'warning' | 'failed';
  text: string;
  fix?: string;
  /** The outcome that `migrate` would have. */
  code?: Outcome;
}
