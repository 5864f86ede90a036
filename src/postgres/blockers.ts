import type { ObservedBlocker } from '../app/blocker.js';
import { sleep } from '../app/time.js';
import type { ConnectionSettings } from '../config/settings.js';
import { Session } from './session.js';
import { sqlstateOf } from './sqlstate.js';

/**
 * Who keeps session $1 from the lock that it waits for, the oldest transaction first; of a crowd the first are enough for the result.
 * The relation of a row's lock is that of the tuple lock which its waiter holds. What the role may not see of other sessions (state,
 * ages, address) is null; PID, application, locks and virtual transaction are shown to everyone. An autovacuum worker belongs to no user.
 */
const BLOCKERS_SQL = `SELECT b.pid, coalesce(a.application_name, '') AS "applicationName", host(a.client_addr) AS "clientAddr", a.state,
  extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS "querySeconds",
  extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS "transactionSeconds",
  (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = coalesce(w.relation, (SELECT t.relation FROM pg_locks t WHERE t.pid = w.pid AND t.locktype = 'tuple' AND t.granted LIMIT 1))) AS relation,
  w.mode AS wanted,
  (SELECT string_agg(DISTINCT h.mode, ', ') FROM pg_locks h WHERE h.pid = b.pid AND h.granted
    AND (h.locktype, h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid)
      IS NOT DISTINCT FROM (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)) AS held,
  (SELECT v.virtualtransaction FROM pg_locks v WHERE v.pid = b.pid LIMIT 1) AS "virtualTransaction",
  a.usesysid IS NULL AND b.pid IN (SELECT pid FROM pg_stat_progress_vacuum UNION ALL SELECT pid FROM pg_stat_progress_analyze) AS autovacuum
FROM pg_locks w
CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) b
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE w.pid = $1 AND NOT w.granted ORDER BY a.xact_start, b.pid LIMIT 20`;

/** Of these transactions, those that are still there. Takes no lock. */
const LEFT_SQL = 'SELECT DISTINCT virtualtransaction AS id FROM pg_locks WHERE virtualtransaction = ANY ($1)';

const END_IDLE_SQL = `SELECT pid FROM pg_stat_activity WHERE pid = ANY ($1) AND datname = current_database() AND backend_type = 'client backend'
  AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - $2 * interval '1 millisecond' AND pg_terminate_backend(pid)`;

const WITHIN_MS = 5000;

/** A second session that watches what keeps the first from its lock. It only reports: whatever fails in it is silent. */
export class BlockerWatch {
  #session: Promise<Session> | undefined;
  readonly #ended = new AbortController();

  /** @param resolve settings that lead to the watched session's server */
  constructor(private readonly resolve: () => ConnectionSettings) {}

  /** Connects already, so that the first question is answered soon. */
  prepare(): void {
    this.#session ??= Session.open(this.resolve, { once: true, signal: this.#ended.signal });
    this.#session.catch(() => {});
  }

  /** Who keeps a session from its lock. @param pid as its server counts it */
  async blockersOf(pid: number): Promise<ObservedBlocker[]> {
    return (await this.#read(BLOCKERS_SQL, [pid])) as ObservedBlocker[];
  }

  /**
   * Ends those of these blockers that have been idle in a transaction for longer than `idleMs`: connections of this database, never a running
   * query, never replication.
   * @returns those that were ended; undefined where the role may not end somebody
   */
  async endIdle(blockers: readonly ObservedBlocker[], idleMs: number): Promise<ObservedBlocker[] | undefined> {
    const pids = blockers.map(({ pid }) => pid);
    try {
      const ended = await this.#query(END_IDLE_SQL, [pids, idleMs]);
      return blockers.filter(({ pid }) => ended.some((row) => (row as { pid: number }).pid === pid));
    } catch (error) {
      return sqlstateOf(error) === '42501' ? undefined : [];
    }
  }

  /** Waits until none of these blockers' transactions is left, or `ms` are over. @returns none is left */
  async untilGone(blockers: readonly ObservedBlocker[], ms: number, signal: AbortSignal): Promise<boolean> {
    const ids = blockers.flatMap(({ virtualTransaction }) => virtualTransaction ?? []);
    const end = performance.now() + ms;
    for (let pause = 20; performance.now() < end; pause = Math.min(pause * 1.5, 250)) {
      await sleep(Math.min(pause, end - performance.now()), signal);
      if ((await this.#read(LEFT_SQL, [ids])).length === 0) return true;
    }
    return false;
  }

  /** What a session waits for beside locks, such as SyncRep; undefined: nothing, or it may not be seen. @param pid as its server counts it */
  async waitEventOf(pid: number): Promise<string | undefined> {
    const sql =
      "SELECT wait_event AS event FROM pg_stat_activity WHERE pid = $1 AND wait_event_type NOT IN ('Lock', 'Client', 'Activity')";
    const [row] = await this.#read(sql, [pid]);
    return (row as { event?: string } | undefined)?.event;
  }

  /** The server's deadlock_timeout, in milliseconds: an autovacuum worker gives way only to who waits longer. */
  async deadlockTimeoutMs(): Promise<number> {
    const [row] = await this.#read("SELECT setting::int AS ms FROM pg_settings WHERE name = 'deadlock_timeout'", []);
    return (row as { ms?: number } | undefined)?.ms ?? 1000;
  }

  end(): void {
    this.#ended.abort();
    void this.#session?.then((session) => session.end()).catch(() => {});
  }

  async #read(sql: string, values: unknown[]): Promise<object[]> {
    return this.#query(sql, values).catch(() => []);
  }

  async #query(sql: string, values: unknown[]): Promise<object[]> {
    this.prepare();
    try {
      const session = (await this.#session) as Session;
      return await session.reading(() => session.query(sql, values), { statementTimeoutMs: WITHIN_MS });
    } catch (error) {
      void this.#session?.then((session) => session.end()).catch(() => {});
      this.#session = undefined;
      throw error;
    }
  }
}
