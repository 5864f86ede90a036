import { Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import { KasmDbError, messageOf } from '../app/errors.js';
import { withoutSecrets } from '../app/secrets.js';
import { sleep, within } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { formatMs } from '../app/when.js';
import { redisSettings } from '../config/redis.js';
import type { Environment } from '../config/variables.js';

/** Redis must not hold up a migration that is done. */
const NOTIFY_MS = 2000;
const CONNECT_MS = 3000;

/** Redis that comes and goes is told that often. */
const MOST_CHANGES = 6;

/** One channel a database. Whoever is notified still asks PostgreSQL, so a wrong notification only costs a check. */
function channelOf(database: string): string {
  return `kasm-db:${database}`;
}

export interface Subscription {
  /** @returns true at the next notification, also of one that came since the last wait; false when `ms` are over. @throws the signal's reason */
  wait(ms: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

/**
 * Subscribes to the migrator's notifications. Never throws and never makes anyone wait: without Redis there is only polling.
 * @param warn told when Redis fails and when it is there again, without any secret
 */
export function subscribe(env: Environment, database: string, warn: (text: string) => void): Subscription {
  let failing = false;
  let changes = 0;
  const tell = (fails: boolean, text: () => string) => {
    if (failing !== fails && changes++ < MOST_CHANGES) warn(text());
    failing = fails;
  };
  const complain = (error: unknown) =>
    tell(true, () => `Redis cannot notify the gate, so it polls only: ${reason(error)}`);
  let notified = false;
  let wake = () => {};
  let client: Redis | undefined;
  try {
    client = open(env);
    client.on('error', complain);
    client.on('ready', () => tell(false, () => 'Redis is there again, and notifies the gate'));
    client.on('message', () => {
      // One that comes during a check is kept: that check may have read before the commit.
      notified = true;
      wake();
    });
    // The driver subscribes anew when it has reconnected.
    client.subscribe(channelOf(database)).catch(complain);
  } catch (error) {
    complain(error);
  }
  return {
    wait: async (ms, signal) => {
      const woken = new AbortController();
      wake = () => woken.abort();
      if (notified) wake();
      await sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => signal.throwIfAborted());
      const was = notified;
      notified = false;
      return was;
    },
    close: () => client?.disconnect(),
  };
}

/**
 * Notifies the waiting gates that the database is ready. Redis down is a warning, never a failure.
 * @returns what to warn of
 */
export async function notify(env: Environment, database: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await withRedis(env, { ms: NOTIFY_MS, signal }, (client) =>
      client.publish(channelOf(database), JSON.stringify({ version: VERSION })),
    );
    return undefined;
  } catch (error) {
    return `Redis could not be told that the database is ready, so gates find out by polling: ${reason(error)}`;
  }
}

/**
 * Reaches Redis, logs in, subscribes and publishes, as gate and migrator will.
 * @throws Error with Redis' own words
 */
export async function probe(env: Environment, database: string, signal: AbortSignal): Promise<void> {
  try {
    await withRedis(env, { ms: CONNECT_MS, signal }, async (client) => {
      await client.publish(channelOf(`${database}:doctor`), '{}');
      await client.subscribe(channelOf(database));
    });
  } catch (error) {
    if (error instanceof KasmDbError) throw error;
    throw new Error(`Redis: ${reason(error)}`);
  }
}

/** On a connection of its own. @throws what Redis said last, or that it said nothing within `ms`; the signal's reason */
async function withRedis(
  env: Environment,
  { ms, signal }: { ms: number; signal: AbortSignal },
  work: (client: Redis) => Promise<unknown>,
): Promise<void> {
  const client = open(env);
  let last: unknown;
  client.on('error', (error) => {
    last = error;
  });
  try {
    await within(ms, work(client), () => new Error(`no answer came within ${formatMs(ms)}`), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw last ?? error;
  } finally {
    client.disconnect();
  }
}

/** What Redis may say in all: a gate gets some hundred bytes, and the client keeps a line until it ends. */
const MOST_BYTES = 1 << 20;

/** @returns counts what a client is told, all of them together, and leaves for good who says more than MOST_BYTES */
function byteLimit(): (client: Redis) => Redis {
  let received = 0;
  const count = (client: Redis, bytes: number) => {
    received += bytes;
    if (received <= MOST_BYTES) return;
    client.disconnect();
    client.stream.destroy();
    client.emit('error', new Error(`it says more than ${MOST_BYTES} bytes`));
  };
  return (client) =>
    client.on('connect', () => client.stream.on('data', (chunk: Buffer) => count(client, chunk.length)));
}

/** The library reaches Sentinels by clients of its own making, which can only be had where it makes them. */
function boundedSentinels(limit: (client: Redis) => Redis) {
  return class extends SentinelConnector {
    constructor(options: unknown) {
      super(options as SentinelConnectionOptions);
      const maker = this as unknown as { connectToSentinel: (...args: unknown[]) => Redis };
      const connect = maker.connectToSentinel.bind(this);
      maker.connectToSentinel = (...args) => limit(connect(...args));
    }
  };
}

function open(env: Environment): Redis {
  const { url, options: given, nodes = [] } = redisSettings(env);
  const retryStrategy = (times: number) => Math.min(500 * times, 10_000);
  const limit = byteLimit();
  const options: RedisOptions = {
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: null,
    enableReadyCheck: false,
    retryStrategy,
    ...given,
    ...nodes[0],
  };
  if (given.sentinels) {
    options.Connector = boundedSentinels(limit);
    options.sentinelCommandTimeout = CONNECT_MS;
    options.sentinelRetryStrategy = retryStrategy;
    // Those that are configured, and nobody else they may name.
    options.updateSentinels = false;
  }
  const client = limit(url ? new Redis(url, options) : new Redis(options));
  let tried = 0;
  client.on('close', () => {
    tried++;
    Object.assign(client.options, nodes[tried % nodes.length]);
  });
  return client;
}

/** An error's text, of a length that a person reads, without what a URL may hold before its @. */
function reason(error: unknown): string {
  return withoutSecrets((messageOf(error) || String(error)).replace(/\/\/[^@/\s]*@/g, '//')).slice(0, 500);
}
