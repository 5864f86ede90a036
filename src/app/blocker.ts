/** A session that keeps a migration from its lock. Never holds the text of its query: that may hold secrets. */
export interface Blocker {
  /** 0: a prepared transaction (pg_prepared_xacts), which has no process. */
  pid: number;
  applicationName: string;
  clientAddr: string | null;
  /** As in pg_stat_activity: active, idle in transaction, …; null, as the ages are, where the role may not see that. */
  state: string | null;
  /** Age of its current (if active) or last query, in seconds. */
  querySeconds: number | null;
  /** Age of its transaction, in seconds. */
  transactionSeconds: number | null;
  /** Table or index that the lock is on, with its schema; null for a lock that is on none. */
  relation: string | null;
  /** Lock mode that the migration asks for. */
  wanted: string;
  /** Lock modes that the blocker has; null when it only stands before the migration in the queue. */
  held: string | null;
}

/** What decides when to try again. */
export interface ObservedBlocker extends Blocker {
  /** Of its transaction: the same PID with another one is another blocker. Null for a prepared transaction. */
  virtualTransaction: string | null;
  /** An autovacuum worker, which gives way only to who waits longer than deadlock_timeout. */
  autovacuum: boolean;
}

/** For people: who, since when, and with what. */
function describeBlocker(blocker: Blocker & Partial<ObservedBlocker>): string {
  const { pid, applicationName, clientAddr, state, querySeconds, transactionSeconds, relation, held } = blocker;
  const on = relation ? ` on ${relation}` : '';
  const lock = held ? `holds ${held}${on}` : `waits for its own lock${on}`;
  if (pid === 0) return `a prepared transaction (see pg_prepared_xacts) ${lock}`;
  if (blocker.autovacuum) return `PID ${pid} (an autovacuum worker) ${lock}`;
  const age = transactionSeconds ?? querySeconds;
  const facts = [
    applicationName || 'unnamed',
    ...(clientAddr ? [`from ${clientAddr}`] : []),
    ...(state ? [state] : []),
    ...(age === null ? [] : [`${transactionSeconds === null ? 'query' : 'transaction'} of ${Math.round(age)} s`]),
  ];
  return `PID ${pid} (${facts.join(', ')}) ${lock}`;
}

/** No more than a person would read, of many readers. */
const SHOWN = 3;

/** Several of them for people; of a crowd the first few, and how many more there are. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  const shown = blockers.slice(0, SHOWN).map(describeBlocker);
  const more = blockers.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}
