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
