import { formatSeconds } from './when.js';

/** What a session is, where it is not somebody's client at ordinary work. */
export type BlockerKind =
  | 'prepared transaction'
  | 'autovacuum'
  | 'wraparound autovacuum'
  | 'vacuum'
  | 'index build'
  | 'dump'
  | 'replication'
  | 'logical decoding'
  | 'subscription';

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
  kind?: BlockerKind;
  /** How far it is, a prepared transaction's or a slot's name; left out where the role may not see that. */
  detail?: string;
}

/** What decides when to try again. */
export interface ObservedBlocker extends Blocker {
  /** Of its transaction: the same PID with another one is another blocker. */
  virtualTransaction: string | null;
}

/** What to call each kind, and what to do about it. */
const KINDS: Record<BlockerKind, { name: string; advice: string }> = {
  'prepared transaction': {
    name: 'a prepared transaction',
    advice:
      'a prepared transaction ends by COMMIT PREPARED or ROLLBACK PREPARED alone: ask whoever prepared it (pg_prepared_xacts)',
  },
  autovacuum: { name: 'an autovacuum worker', advice: 'autovacuum gives way by itself' },
  'wraparound autovacuum': {
    name: 'an autovacuum worker that prevents wraparound, which never gives way',
    advice: 'let that autovacuum end: one that was ended begins again',
  },
  vacuum: { name: 'a VACUUM', advice: 'let the VACUUM end' },
  'index build': {
    name: 'an index is built',
    advice: 'let the index be built: one that was interrupted stays behind, invalid',
  },
  dump: { name: 'pg_dump', advice: 'let the dump end, or migrate at another time than it runs' },
  replication: {
    name: 'replication',
    advice: 'let the copy for the standby or subscriber end: one that was ended begins again',
  },
  'logical decoding': {
    name: 'logical decoding',
    advice: 'let whoever reads the replication slot end its transaction',
  },
  subscription: {
    name: 'a worker of a subscription',
    advice: 'let the worker end its transaction, or stop it meanwhile: ALTER SUBSCRIPTION … DISABLE',
  },
};

/** For people: who, since when, and with what. */
function describeBlocker(blocker: Blocker): string {
  const { pid, applicationName, clientAddr, state, querySeconds, transactionSeconds, relation, held } = blocker;
  const on = relation ? ` on ${relation}` : '';
  const lock = held ? `holds ${held}${on}` : `waits for its own lock${on}`;
  const kind = blocker.kind && `${KINDS[blocker.kind].name}${blocker.detail ? `: ${blocker.detail}` : ''}`;
  const age = transactionSeconds ?? querySeconds;
  const since = age !== null && `${transactionSeconds === null ? 'query' : 'transaction'} of ${formatSeconds(age)}`;
  if (pid === 0) return `${[kind, since].filter(Boolean).join(', ')}, ${lock}`;
  const session = [applicationName || 'unnamed', clientAddr && `from ${clientAddr}`, state];
  // A worker of the server has no name, client or state worth telling.
  const facts = kind && !applicationName ? [kind, since] : [kind, ...session, since];
  return `PID ${pid} (${facts.filter(Boolean).join(', ')}) ${lock}`;
}

/** No more than a person would read, of many readers. */
const SHOWN = 3;

/** Several of them for people; of a crowd the first few, and how many more there are. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  const shown = blockers.slice(0, SHOWN).map(describeBlocker);
  const more = blockers.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

/** What to do about those that are in the way; each thing once. */
export function adviceFor(blockers: readonly Blocker[]): string {
  const special = blockers.flatMap(({ kind }) => (kind ? [KINDS[kind].advice] : []));
  const pids = blockers.filter(({ kind }) => kind === undefined).map(({ pid }) => pid);
  const ends = pids.slice(0, SHOWN).map((pid) => `pg_terminate_backend(${pid})`);
  const clients = pids.length > 0 ? [`let these sessions end, or end them: SELECT ${ends.join(', ')}`] : [];
  return [...new Set([...clients, ...special])].join('; ');
}
