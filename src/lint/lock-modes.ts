/** Table locks from the weakest on (PostgreSQL's manual, 13.3.1). */
export const LOCK_ORDER = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof LOCK_ORDER)[number];

export const isStronger = (mode: LockMode, other: LockMode) => LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf(other);

/** Does it stop writers or readers, not only other changes of the schema? */
export const stopsOthers = (mode: LockMode) => isStronger(mode, 'SHARE UPDATE EXCLUSIVE');

const REWRITES = ['no', 'maybe', 'yes'] as const;
/** Is the table written anew? `maybe`: it depends on what a parser can't see, such as the column's old type. */
export type Rewrite = (typeof REWRITES)[number];

/** What a statement does to a table. */
export interface TableLock {
  table: string;
  mode: LockMode;
  rewrite: Rewrite;
  /** The statement makes the table: nobody waits for it. */
  creates?: true;
}

/** The same lock on each of these. */
export function locked(tables: readonly (string | undefined)[], mode: LockMode, rewrite: Rewrite = 'no'): TableLock[] {
  return tables.flatMap((table) => (table === undefined ? [] : [{ table, mode, rewrite }]));
}

/** One entry a table: its strongest lock, and the worst that is known of rewriting. */
export function byTable(locks: readonly TableLock[]): TableLock[] {
  const merged = new Map<string, TableLock>();
  for (const lock of locks) {
    const before = merged.get(lock.table) ?? lock;
    merged.set(lock.table, {
      ...before,
      ...lock,
      mode: isStronger(before.mode, lock.mode) ? before.mode : lock.mode,
      rewrite: REWRITES[Math.max(REWRITES.indexOf(before.rewrite), REWRITES.indexOf(lock.rewrite))] as Rewrite,
    });
  }
  return [...merged.values()];
}
