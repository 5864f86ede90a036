import { wantsRedis } from '../config/redis.js';
import type { CommandContext } from './command.js';

/** Tells the waiting gates that the database is ready, where Redis is configured; where that fails, it is a warning. */
export async function notifyGates({ env, events, signal }: CommandContext, database: string): Promise<void> {
  if (!wantsRedis(env)) return;
  const { notify } = await import('../readiness/notifier.js');
  const failure = await notify(env, database, signal);
  if (failure) events.warning?.(failure);
}
