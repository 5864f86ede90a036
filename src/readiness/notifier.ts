import { Cluster, Redis } from 'ioredis';
import { messageOf } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import { redisSettings } from '../config/redis.js';
import type { Environment } from '../config/variables.js';

/** Redis must not hold up a migration that is done. */
const RING_MS = 2000;
/** What a connection gets that was made while the migrations ran, before another is made. */
const EARLY_MS = 500;
const CONNECT_MS = 3000;

/** One channel a database; who hears it still asks PostgreSQL, so a wrong ring only costs a look. */
export function channelOf(database: string): string {
  return `kasm-db:${database}`;
}

/** What a ring says. */
export interface Ring {
  /** How many heard it, so that they can look one after the other; undefined: not known. */
  listeners: number | undefined;
}

export interface Bell {
  /** Subscribed, so that a ring would be heard. */
  readonly listening: boolean;
  /** Resolves when it listens, when it is known that it can't, or when `ms` are over. */
  opened(ms: number): Promise<void>;
  /** Resolves at the next ring, or with undefined when `ms` are over. */
  wait(ms: number, signal: AbortSignal): Promise<Ring | undefined>;
  close(): void;
}

/**
 * Listens for the migrator's ring. Never throws and never makes anyone wait: without Redis there is only polling.
 * @param warn told once, without any secret
 */
export function listen(env: Environment, database: string, warn: (text: string) => void): Bell {
  let warned = false;
  let settle = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const complain = (error: unknown) => {
    if (!warned) warn(`Redis is of no use as a bell, so the gate looks by itself: ${reason(error)}`);
    warned = true;
    settle();
  };
  let heard: ((ring: Ring) => void) | undefined;
  let missed: Ring | undefined;
  const rung = (ring: Ring) => {
    // A ring during a look is kept: that look may have begun before the commit.
    if (heard) heard(ring);
    else missed = ring;
  };
  let listening = false;
  let subscribed = 0;
  let client: Redis | Cluster | undefined;
  try {
    client = open(env);
    client.on('error', complain);
    for (const name of ['close', 'end']) {
      client.on(name, () => {
        listening = false;
      });
    }
    // Every time, since a reconnect subscribes anew.
    client.on('ready', () => {
      client?.subscribe(channelOf(database)).then(() => {
        listening = true;
        settle();
        // While the connection was lost, a ring may have been too.
        if (++subscribed > 1) rung({ listeners: undefined });
      }, complain);
    });
    client.on('message', (_, message) => rung({ listeners: listenersOf(message) }));
  } catch (error) {
    complain(error);
  }
  return {
    get listening() {
      return listening;
    },
    opened: async (ms) => {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        settled,
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, ms);
        }),
      ]);
      clearTimeout(timer);
    },
    wait: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (missed) {
          resolve(missed);
          missed = undefined;
          return;
        }
        const end = (ring: Ring | undefined) => {
          clearTimeout(timer);
          heard = undefined;
          signal.removeEventListener('abort', abort);
          resolve(ring);
        };
        const abort = () => {
          clearTimeout(timer);
          reject(signal.reason);
        };
        const timer = setTimeout(() => end(undefined), ms);
        heard = end;
        signal.addEventListener('abort', abort, { once: true });
      }),
    close: () => client?.disconnect(),
  };
}

/** Anybody may publish; what is no count is none. */
function listenersOf(message: string): number | undefined {
  try {
    const { listeners } = JSON.parse(message);
    return Number.isSafeInteger(listeners) && listeners >= 0 ? listeners : undefined;
  } catch {
    return undefined;
  }
}

/** Tells the waiting gates to look. */
export interface Ringer {
  /**
   * Redis down is a warning, never a failure.
   * @returns what to warn of
   */
  ring(): Promise<string | undefined>;
  close(): void;
}

/** Connects in the background, so that nothing is left to do but to ring once the database is ready. Never throws. */
export function ringer(env: Environment, database: string): Ringer {
  let early: Redis | Cluster | undefined;
  try {
    early = open(env);
    // What is wrong now may be right when it matters.
    early.on('error', () => {});
  } catch {
    // ring() will say it.
  }
  return {
    ring: async () => {
      // A connection that was idle for long may be dead without a word: a new one reads the Secrets anew, too.
      if (early?.status === 'ready' && (await ringOn(early, database, EARLY_MS)) === undefined) return undefined;
      return ring(env, database);
    },
    close: () => early?.disconnect(),
  };
}

/**
 * Tells the waiting gates to look, on a connection of its own. Redis down is a warning, never a failure.
 * @returns what to warn of
 */
export async function ring(env: Environment, database: string): Promise<string | undefined> {
  let client: Redis | Cluster | undefined;
  let failure: unknown;
  try {
    client = open(env);
    failure = await ringOn(client, database, RING_MS);
  } catch (error) {
    failure = error;
  } finally {
    client?.disconnect();
  }
  if (failure === undefined) return undefined;
  return `Redis could not be told that the database is ready, so gates find out by looking: ${reason(failure)}`;
}

/** @returns what went wrong */
async function ringOn(client: Redis | Cluster, database: string, ms: number): Promise<unknown> {
  let last: unknown;
  client.on('error', (error) => {
    last = error;
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    });
    const channel = channelOf(database);
    const work = async () => {
      // A user who may only publish is not told; the gates then don't know how many they are.
      const [, listeners] = (await client.pubsub('NUMSUB', channel).catch(() => [])) as unknown[];
      await client.publish(channel, JSON.stringify({ version: VERSION, listeners: Number(listeners ?? Number.NaN) }));
    };
    await Promise.race([work(), late]);
    return undefined;
  } catch (error) {
    return last ?? error;
  } finally {
    clearTimeout(timer);
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
