import { Cluster, Redis } from 'ioredis';
import { redisSettings } from '../config/redis.js';
import type { Environment } from '../config/settings.js';
import { messageOf } from '../errors.js';
import { VERSION } from '../version.js';

/** Redis must not hold up a migration that is done. */
const RING_MS = 2000;
const CONNECT_MS = 3000;

/** One channel a database; who hears it still asks PostgreSQL, so a wrong ring only costs a look. */
export function channelOf(database: string): string {
  return `kasm-db:${database}`;
}

export interface Bell {
  /** Subscribed, so that a ring would be heard. */
  readonly listening: boolean;
  /** Resolves at the next ring, or when `ms` are over. */
  wait(ms: number, signal: AbortSignal): Promise<'rung' | 'timeout'>;
  close(): void;
}

/**
 * Listens for the migrator's ring. Never throws and never makes anyone wait: without Redis there is only polling.
 * @param warn told once, without any secret
 */
export function listen(env: Environment, database: string, warn: (text: string) => void): Bell {
  let warned = false;
  const complain = (error: unknown) => {
    if (!warned) warn(`Redis is of no use as a bell, so the gate looks by itself: ${reason(error)}`);
    warned = true;
  };
  let heard: (() => void) | undefined;
  let missed = false;
  const rung = () => {
    // A ring during a look is kept: that look may have begun before the commit.
    if (heard) heard();
    else missed = true;
  };
  let listening = false;
  let client: Redis | Cluster | undefined;
  try {
    client = open(env);
    client.on('error', complain);
    client.on('close', () => {
      listening = false;
    });
    client.on('end', () => {
      listening = false;
    });
    // Every time, since a reconnect subscribes anew.
    client.on('ready', () => {
      client?.subscribe(channelOf(database)).then(() => {
        listening = true;
        // Something may have been rung while nobody listened.
        heard?.();
      }, complain);
    });
    client.on('message', rung);
  } catch (error) {
    complain(error);
  }
  return {
    get listening() {
      return listening;
    },
    wait: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (missed) {
          missed = false;
          resolve('rung');
          return;
        }
        const end = (how: 'rung' | 'timeout') => {
          clearTimeout(timer);
          heard = undefined;
          signal.removeEventListener('abort', abort);
          resolve(how);
        };
        const abort = () => {
          clearTimeout(timer);
          reject(signal.reason);
        };
        const timer = setTimeout(() => end('timeout'), ms);
        heard = () => end('rung');
        signal.addEventListener('abort', abort, { once: true });
      }),
    close: () => client?.disconnect(),
  };
}

/**
 * Tells the waiting gates to look. Redis down is a warning, never a failure.
 * @returns what to warn of
 */
export async function ring(env: Environment, database: string): Promise<string | undefined> {
  let client: Redis | Cluster | undefined;
  let last: unknown;
  try {
    client = open(env);
    client.on('error', (error) => {
      last = error;
    });
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(last ?? new Error(`no answer within ${RING_MS} ms`)), RING_MS),
    );
    await Promise.race([client.publish(channelOf(database), JSON.stringify({ version: VERSION })), late]);
    return undefined;
  } catch (error) {
    return `Redis could not be told that the database is ready, so gates find out by looking: ${reason(last ?? error)}`;
  } finally {
    client?.disconnect();
  }
}

/**
 * Reaches Redis, logs in, subscribes and publishes, as gate and migrator will.
 * @throws Error with Redis' own words
 */
export async function probe(env: Environment, database: string): Promise<void> {
  const client = open(env);
  let last: unknown;
  client.on('error', (error) => {
    last = error;
  });
  try {
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error(`Redis: ${reason(last ?? new Error('no answer'))}`)), CONNECT_MS),
    );
    const work = async () => {
      await client.publish(channelOf(`${database}:doctor`), '{}');
      await client.subscribe(channelOf(database));
    };
    await Promise.race([work(), late]);
  } catch (error) {
    throw new Error(`Redis: ${reason(last ?? error)}`);
  } finally {
    client.disconnect();
  }
}

function open(env: Environment): Redis | Cluster {
  const settings = redisSettings(env);
  const common = {
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: null,
    enableReadyCheck: false,
    retryStrategy: (times: number) => Math.min(500 * times, 10_000),
  };
  if (settings.kind === 'cluster') {
    return new Cluster(settings.nodes, {
      ...settings.options,
      clusterRetryStrategy: common.retryStrategy,
      redisOptions: { ...settings.options.redisOptions, connectTimeout: CONNECT_MS },
    });
  }
  const options = { ...common, ...settings.options };
  return settings.url ? new Redis(settings.url, options) : new Redis(options);
}

/** An error's text without what a URL may hold before its @. */
function reason(error: unknown): string {
  return (messageOf(error) || String(error)).replace(/\/\/[^@/\s]*@/g, '//');
}
