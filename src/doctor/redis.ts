import { KasmDbError, messageOf } from '../app/errors.js';
import { wantsRedis } from '../config/redis.js';
import type { Environment } from '../config/variables.js';
import type { Report } from './report.js';

/** Gates listen there; they poll without it. */
export async function checkRedis(
  report: Report,
  { env, signal }: { env: Environment; signal: AbortSignal },
  dbname: string,
): Promise<void> {
  if (!wantsRedis(env)) return report.ok('redis', 'Redis is not configured, so gates poll');
  const { probe } = await import('../readiness/notifier.js');
  try {
    await probe(env, dbname, signal);
    report.ok('redis', 'Redis takes the login, which may publish and subscribe');
  } catch (error) {
    if (error instanceof KasmDbError) report.fail('redis', error);
    // The gates don't depend on it, so this is no failure.
    else
      report.warning(
        'redis',
        messageOf(error),
        'correct KASM_DB_REDIS_*; an ACL user needs +subscribe, +publish and the channel kasm-db:*',
      );
  }
}
