import { sleep } from '../app/time.js';
import type { ConnectionSettings } from '../config/settings.js';
import type { Blocker } from './blocker.js';
import type { Client } from './client.js';
import { connect } from './connect.js';
import { destroy } from './query.js';

/**
 * Who keeps session $1 from the lock that it waits for, the oldest transaction first; of a crowd the first are enough for the result.
 * The relation of a row's lock is that of the tuple lock which its waiter holds. What the role may not see of other sessions (state,
 * ages, address) is null; PID, application and locks are shown to everyone.
 */
const BLOCKERS_SQL = `SELECT b.pid, coalesce(a.application_name, '') AS "applicationName", pg_catalog.host(a.client_addr) AS "clientAddr", a.state,
  extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::float8 AS "querySeconds",
  extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS "transactionSeconds",
  (SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = coalesce(w.relation, (SELECT t.relation FROM pg_catalog.pg_locks t WHERE t.pid = w.pid AND t.locktype = 'tuple' AND t.granted LIMIT 1))) AS relation,
  w.mode AS wanted,
  (SELECT pg_catalog.string_agg(DISTINCT h.mode, ', ') FROM pg_catalog.pg_locks h WHERE h.pid = b.pid AND h.granted
    AND (h.locktype, h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid)
      IS NOT DISTINCT FROM (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)) AS held
FROM pg_catalog.pg_locks w
CROSS JOIN LATERAL (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS pid) b
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
WHERE w.pid = $1 AND NOT w.granted ORDER BY a.xact_start, b.pid LIMIT 20`;

/**
 * Looks, on a connection of its own, who keeps a session from its lock, again and again until `stop` is called. Fails in silence:
 * it only reports.
 * @param resolve settings that lead to the session's server
 * @param pid the session, as its server counts it
 * @param everyMs pause between two looks, in milliseconds
 * @param report told of each look that finds somebody
 * @returns ends the connection at once
 */
export function watchBlockers(
  resolve: () => ConnectionSettings,
  pid: number,
  everyMs: number,
  report: (blockers: Blocker[]) => void,
): { stop: () => void } {
  const stopped = new AbortController();
  let client: Client | undefined;
  const watch = async () => {
    for (;;) {
      try {
        client ??= await connect(resolve, { once: true, signal: stopped.signal });
        const { rows } = await client.query(BLOCKERS_SQL, [pid]);
        if (rows.length > 0 && !stopped.signal.aborted) report(rows);
      } catch {
        if (client) destroy(client);
        client = undefined;
      }
      await sleep(everyMs, stopped.signal);
    }
  };
  void watch().catch(() => {
    if (client) destroy(client);
  });
  return {
    stop: () => {
      stopped.abort();
      if (client) destroy(client);
    },
  };
}
