import type { Blocker } from './blocker.js';
import type { KasmDbError } from './errors.js';
import type { LockHolder } from './lock-holder.js';

/** What a run tells while it works. Nothing of it decides anything. */
export interface RunEvents {
  /** Which database it works on, such as `kasm on db.example:5432 as kasmapp`; told first. */
  target?(text: string): void;
  /** Anything else worth a line. */
  progress?(text: string): void;
  retryConnect?(reason: KasmDbError): void;
  waitForLock?(holder: LockHolder | undefined): void;
  waitForTable?(migration: string, reason: KasmDbError): void;
  /** Sessions that keep a migration from a lock, each time they are looked up. */
  blocked?(migration: string, blockers: readonly Blocker[]): void;
  /** Work on migrations begins. @param doing `applying` or `rolling back` */
  started?(doing: 'applying' | 'rolling back', total: number): void;
  migrationStarted?(name: string, index: number, total: number): void;
  migrationDone?(name: string, ms: number): void;
  migrationUndone?(name: string, ms: number): void;
  statementDone?(name: string, done: number, total: number): void;
  /** What a gate is waiting for; told once for each change. */
  waiting?(text: string): void;
  /** What the server says beside its answers. */
  notice?(text: string, isWarning?: boolean): void;
  warning?(text: string): void;
}
