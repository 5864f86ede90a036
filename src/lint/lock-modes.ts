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

/** Does it stop writers or readers, not only other changes of the schema? */
export const stopsOthers = (mode: LockMode): boolean =>
  LOCK_ORDER.indexOf(mode) > LOCK_ORDER.indexOf('SHARE UPDATE EXCLUSIVE');

/** What a statement does to a table. */
export interface TableLock {
  table: string;
  mode: LockMode;
  /** Is the table written anew? `maybe`: it depends on what a parser can't see, such as the column's old type. */
  rewrite: 'no' | 'yes' | 'maybe';
  /** The statement makes the table: nobody waits for it. */
  creates?: true;
}

/** The same lock on each of these. */
export function locked(tables: readonly string[], mode: LockMode, rewrite: TableLock['rewrite'] = 'no'): TableLock[] {
  return tables.map((table) => ({ table, mode, rewrite }));
}

const strongest = (a: LockMode, b: LockMode) => (LOCK_ORDER.indexOf(a) > LOCK_ORDER.indexOf(b) ? a : b);

const REWRITES = ['no', 'maybe', 'yes'] as const;
const worst = (a: TableLock['rewrite'], b: TableLock['rewrite']) => (REWRITES.indexOf(a) > REWRITES.indexOf(b) ? a : b);

/** One entry a table: its strongest lock, and the worst that is known of rewriting. */
export function byTable(locks: readonly TableLock[]): TableLock[] {
  const merged = new Map<string, TableLock>();
  for (const lock of locks) {
    const other = merged.get(lock.table);
    if (!other) merged.set(lock.table, lock);
    else {
      merged.set(lock.table, {
        ...other,
        mode: strongest(other.mode, lock.mode),
        rewrite: worst(other.rewrite, lock.rewrite),
        ...(other.creates || lock.creates ? { creates: true as const } : {}),
      });
    }
  }
  return [...merged.values()];
}
