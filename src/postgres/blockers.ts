import type { BlockerKind, ObservedBlocker } from '../app/blocker.js';
import { now, sleep } from '../app/time.js';
import type { Resolve } from '../config/settings.js';
import { Session } from './session.js';
import { sqlstateOf } from './sqlstate.js';

/** Age of a time; a server's clock may have jumped back meanwhile. */
const since = (time: string) => `CASE WHEN ${time} IS NOT NULL THEN greatest(clock_timestamp() - ${time}, '0') END`;

/**
 * Who keeps session $1 from the lock that it waits for, the oldest transaction first; of a crowd the first are enough for the result.
 * The relation of a row's lock is that of the tuple lock which its waiter holds. What the role may not see of other sessions (state,
 * ages, address, how far a worker is) is null; PID, application, locks and virtual transaction are shown to everyone. An autovacuum worker
 * belongs to no user, which tells it also before and after what it says of its progress; that it prevents wraparound is seen by the age of its table, which everyone may see too.
 */
const BLOCKERS_SQL = `SELECT b.pid, coalesce(a.application_name, '') AS "applicationName", host(a.client_addr) AS "clientAddr", a.state,
  extract(epoch FROM ${since('a.query_start')})::float8 AS "querySeconds",
  extract(epoch FROM ${since('coalesce(a.xact_start, p.prepared)')})::float8 AS "transactionSeconds",
  (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = t.relation) AS relation,
  w.mode AS wanted, h.held,
  coalesce(h.id, (SELECT v.virtualtransaction FROM pg_locks v WHERE v.pid = b.pid LIMIT 1)) AS "virtualTransaction",
  k.kind, k.detail
FROM pg_locks w
CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) b
CROSS JOIN LATERAL (SELECT coalesce(w.relation,
  (SELECT r.relation FROM pg_locks r WHERE r.pid = w.pid AND r.locktype = 'tuple' AND r.granted LIMIT 1)) AS relation) t
LEFT JOIN LATERAL (SELECT o.virtualtransaction AS id, string_agg(DISTINCT o.mode, ', ') AS held FROM pg_locks o
  WHERE coalesce(o.pid, 0) = b.pid AND o.granted
    AND (o.locktype, o.database, o.relation, o.page, o.tuple, o.virtualxid, o.transactionid, o.classid, o.objid, o.objsubid)
      IS NOT DISTINCT FROM (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
  GROUP BY 1) h ON true
LEFT JOIN pg_prepared_xacts p ON b.pid = 0 AND EXISTS (SELECT FROM pg_locks x
  WHERE x.pid IS NULL AND x.virtualtransaction = h.id AND x.locktype = 'transactionid' AND x.transactionid = p.transaction)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
LEFT JOIN LATERAL (
  SELECT 'prepared transaction' AS kind, quote_literal(p.gid) AS detail WHERE b.pid = 0
  UNION ALL SELECT CASE WHEN a.usesysid IS NOT NULL THEN 'vacuum' WHEN EXISTS (SELECT FROM pg_class c
      WHERE c.oid = t.relation AND (age(c.relfrozenxid) > least(current_setting('autovacuum_freeze_max_age')::int,
          (SELECT o.option_value::int FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_freeze_max_age'))
        OR mxid_age(c.relminmxid) > least(current_setting('autovacuum_multixact_freeze_max_age')::int,
          (SELECT o.option_value::int FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_multixact_freeze_max_age')))
    ) THEN 'wraparound autovacuum' ELSE 'autovacuum' END,
    NULL FROM pg_stat_progress_vacuum x WHERE x.pid = b.pid
  UNION ALL SELECT 'autovacuum', NULL FROM pg_stat_progress_analyze x WHERE x.pid = b.pid AND a.usesysid IS NULL
  UNION ALL SELECT 'index build', NULL FROM pg_stat_progress_create_index x WHERE x.pid = b.pid
  UNION ALL SELECT 'replication', NULL FROM pg_stat_replication x WHERE x.pid = b.pid
  UNION ALL SELECT 'logical decoding', 'slot ' || x.slot_name FROM pg_replication_slots x WHERE x.active_pid = b.pid
  UNION ALL SELECT 'subscription', x.subname FROM pg_stat_subscription x WHERE x.pid = b.pid
  UNION ALL SELECT 'dump', NULL WHERE a.application_name IN ('pg_dump', 'pg_dumpall')
  UNION ALL SELECT 'autovacuum', NULL WHERE a.usesysid IS NULL AND a.datid IS NOT NULL
  LIMIT 1) k ON true
WHERE w.pid = $1 AND NOT w.granted ORDER BY coalesce(a.xact_start, p.prepared), b.pid LIMIT 20`;

/** Of these transactions, those that are still there. Takes no lock. */
const LEFT_SQL = 'SELECT DISTINCT virtualtransaction AS id FROM pg_locks WHERE virtualtransaction = ANY ($1)';

/** How far those of these sessions are that tell it. */
const PROGRESS_SQL = `SELECT pid, phase || ', ' || coalesce(heap_blks_scanned * 100 / nullif(heap_blks_total, 0), 0) || ' % of the table' AS detail
  FROM pg_stat_progress_vacuum WHERE pid = ANY ($1)
UNION ALL SELECT pid, phase || coalesce(', ' || blocks_done * 100 / nullif(blocks_total, 0) || ' % of the blocks', '')
  FROM pg_stat_progress_create_index WHERE pid = ANY ($1)`;

/** First who, then their end: a planner may ask conditions of one query in any order, and would end whom a later one leaves alone. */
const END_IDLE_SQL = `WITH idle AS MATERIALIZED (SELECT a.pid FROM pg_stat_activity a
    WHERE a.pid = ANY ($1) AND a.datname = current_database() AND a.backend_type = 'client backend' AND a.state LIKE 'idle in transaction%'
      AND a.state_change < clock_timestamp() - $2 * interval '1 millisecond'
      AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.virtualtransaction = ANY ($3)))
  SELECT pid FROM idle WHERE pg_terminate_backend(pid)`;

/** These tell how far they are. */
const PROGRESSING = new Set<BlockerKind>(['autovacuum', 'wraparound autovacuum', 'vacuum', 'index build']);

const WITHIN_MS = 5000;

/** A second session that watches what keeps the first from its lock. It only reports: whatever fails in it is silent. */
export class BlockerWatch {
  #session: Promise<Session> | undefined;
  /** The same once it is open. */
  #open: Session | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #ended = new AbortController();

  /** @param resolve settings that lead to the watched session's server */
  constructor(private readonly resolve: Resolve) {}

  /** Connects already, so that the first question is answered soon. */
  prepare(): void {
    if (this.#session) return;
    this.#session = Session.open({ resolve: this.resolve, signal: this.#ended.signal, events: {} }, { once: true });
    this.#session.then(
      (session) => {
        this.#open = session;
      },
      () => {},
    );
  }

  /** Who keeps a session from its lock. @param pid as its server counts it */
  async blockersOf(pid: number): Promise<ObservedBlocker[]> {
    const rows = await this.#read<ObservedBlocker>(BLOCKERS_SQL, [pid]);
    const blockers = rows.map((row) => ({ ...row, kind: row.kind ?? undefined, detail: row.detail ?? undefined }));
    return blockers.some(({ kind }) => kind && PROGRESSING.has(kind)) ? this.progressOf(blockers) : blockers;
  }

  /** The same blockers, with how far they are now. */
  async progressOf(blockers: readonly ObservedBlocker[]): Promise<ObservedBlocker[]> {
    const rows = await this.#read<Pick<ObservedBlocker, 'pid' | 'detail'>>(PROGRESS_SQL, [
      blockers.map(({ pid }) => pid),
    ]);
    const details = new Map(rows.map(({ pid, detail }) => [pid, detail]));
    return blockers.map((blocker) => ({ ...blocker, detail: details.get(blocker.pid) ?? blocker.detail }));
  }

  /**
   * Ends those of these blockers that have been idle in a transaction for longer than `idleMs`: connections of this database, never a running
   * query, never replication.
   * @returns those that were ended; undefined where the role may not end somebody
   */
  async endIdle(blockers: readonly ObservedBlocker[], idleMs: number): Promise<ObservedBlocker[] | undefined> {
    const pids = blockers.map(({ pid }) => pid);
    try {
      const ended = await this.#query<{ pid: number }>(END_IDLE_SQL, [pids, idleMs, transactionsOf(blockers)]);
      return blockers.filter(({ pid }) => ended.some((row) => row.pid === pid));
    } catch (error) {
      return sqlstateOf(error) === '42501' ? undefined : [];
    }
  }

  /** Waits until none of these blockers' transactions is left, or `ms` are over. @returns none is left */
  async untilGone(blockers: readonly ObservedBlocker[], ms: number, signal: AbortSignal): Promise<boolean> {
    const ids = transactionsOf(blockers);
    const end = now() + ms;
    for (let pause = 20; now() < end; pause = Math.min(pause * 1.5, 250)) {
      await sleep(Math.min(pause, end - now()), signal);
      if ((await this.#read(LEFT_SQL, [ids])).length === 0) return true;
    }
    return false;
  }

  /** What a session waits for beside locks, such as SyncRep; undefined: nothing, or it may not be seen. @param pid as its server counts it */
  async waitEventOf(pid: number): Promise<string | undefined> {
    const sql =
      "SELECT wait_event AS event FROM pg_stat_activity WHERE pid = $1 AND wait_event_type NOT IN ('Lock', 'Client', 'Activity')";
    const [row] = await this.#read<{ event: string }>(sql, [pid]);
    return row?.event;
  }

  /** The server's deadlock_timeout, in milliseconds: an autovacuum worker gives way only to who waits longer. */
  async deadlockTimeoutMs(): Promise<number> {
    const sql = "SELECT setting::int AS ms FROM pg_settings WHERE name = 'deadlock_timeout'";
    const [row] = await this.#read<{ ms: number }>(sql, []);
    return row?.ms ?? 1000;
  }

  /** A question that is being answered is not cancelled: PgBouncer 1.18 dies of a cancel request whose sender is gone (its issue 801). */
  end(): void {
    this.#open?.cut();
    this.#ended.abort();
    void this.#session?.then((session) => session.cut()).catch(() => {});
  }

  #read<R extends object>(sql: string, values: unknown[]): Promise<R[]> {
    return this.#query<R>(sql, values).catch(() => []);
  }

  /** One after the other: an attempt that is over may still be asking when the next one begins. */
  #query<R extends object>(sql: string, values: unknown[]): Promise<R[]> {
    const answer = this.#turn.then(() => this.#ask<R>(sql, values));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  async #ask<R extends object>(sql: string, values: unknown[]): Promise<R[]> {
    this.prepare();
    try {
      const session = (await this.#session) as Session;
      return await session.reading(() => session.query<R>(sql, values), { statementTimeoutMs: WITHIN_MS });
    } catch (error) {
      void this.#session?.then((session) => session.end()).catch(() => {});
      this.#session = undefined;
      throw error;
    }
  }
}

function transactionsOf(blockers: readonly ObservedBlocker[]): string[] {
  return blockers.flatMap(({ virtualTransaction }) => virtualTransaction ?? []);
}
