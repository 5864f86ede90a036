import type { KasmDbError } from '../app/errors.js';
import { backoff, retry } from '../app/retry.js';
import { now, within } from '../app/time.js';
import type { Host } from '../config/hosts.js';
import type { TargetSessionAttrs } from '../config/parameters.js';
import type { ConnectionSettings, Resolve } from '../config/settings.js';
import { addressesOf } from './addresses.js';
import type { Client } from './client.js';
import { combine, type Refusal, refusal, TIME_IS_UP } from './refusal.js';
import { tryAddress } from './try-address.js';

export interface ConnectOptions {
  /** Stops the attempt and its retries. */
  signal?: AbortSignal | undefined;
  /** Told once per kind of failure that is retried. */
  onRetry?: ((reason: KasmDbError) => void) | undefined;
  /** One attempt only, without retry (the gate has its own rhythm). */
  once?: boolean | undefined;
}

const RETRY = { firstMs: 100, maxMs: 2000 };
/** A single attempt never waits longer than this for a host that answers nothing. */
const ATTEMPT_MS = 10_000;
/** The last attempt before connectTimeoutMs is over gets at least this, or it would hide what the earlier ones were told. */
const LAST_ATTEMPT_MS = 1000;
/** No host of a list gets less, however little is left. */
const LEAST_ATTEMPT_MS = 250;

/**
 * Logs in, trying every host and every TLS attempt of the sslmode, again and again until `connectTimeoutMs` is over where that may help.
 * As in libpq, a host that answers but refuses TLS or the login ends the list: nobody behind it gets the password.
 * @param resolve asked anew for each attempt, since a mounted Secret may change meanwhile
 * @throws KasmDbError unreachable (a later attempt may succeed), environment, usage
 */
export async function connect(resolve: Resolve, options: ConnectOptions = {}): Promise<Client> {
  let settings = resolve(true);
  const deadline = now() + settings.connectTimeoutMs;
  let retryable = false;
  let reported = '';
  let refused: KasmDbError | undefined;
  const attempt = async (attempts: number) => {
    retryable = false;
    if (attempts > 0) settings = resolve(true);
    const atLeast = Math.min(settings.connectTimeoutMs, LAST_ATTEMPT_MS);
    const result = await tryHosts(settings, Math.max(deadline, now() + atLeast), options);
    if (!('error' in result)) return result;
    retryable = result.retryable && !options.once;
    if (result.silent && refused && now() >= deadline) throw refused;
    if (!result.silent) refused = result.error;
    throw result.error;
  };
  return retry(attempt, {
    deadline,
    backoff: backoff(RETRY),
    retryable: () => retryable,
    onRetry: (error) => {
      const { message } = error as KasmDbError;
      if (message !== reported) options.onRetry?.(error as KasmDbError);
      reported = message;
    },
    signal: options.signal,
  });
}

async function tryHosts(
  settings: ConnectionSettings,
  deadline: number,
  { signal }: ConnectOptions,
): Promise<Client | Refusal> {
  const tryEach = async (targetSessionAttrs: TargetSessionAttrs): Promise<Client | Refusal> => {
    const hosts = settings.loadBalance ? shuffled(settings.hosts) : settings.hosts;
    const wished = { ...settings, targetSessionAttrs };
    const result = await inTurn(hosts, deadline, (host, ms) => tryHost(wished, host, now() + ms, signal));
    return Array.isArray(result) ? combine(result) : result;
  };
  if (settings.targetSessionAttrs !== 'prefer-standby') return tryEach(settings.targetSessionAttrs);
  const standby = await tryEach('standby');
  return 'error' in standby && !standby.ends ? tryEach('any') : standby;
}

/** Tries each address of a host. */
async function tryHost(
  settings: ConnectionSettings,
  host: Host,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Client | Refusal> {
  let addresses: string[];
  try {
    // A name server may answer nothing, too.
    const late = () => new Error(TIME_IS_UP);
    addresses = await within(Math.max(deadline - now(), 0), addressesOf(host), late, signal);
  } catch (error) {
    signal?.throwIfAborted();
    return refusal(error, settings, host);
  }
  if (settings.loadBalance) addresses = shuffled(addresses);
  const result = await inTurn(addresses, deadline, (address, ms) =>
    tryAddress(settings, { ...host, address }, Math.min(ms, ATTEMPT_MS), signal),
  );
  if (!Array.isArray(result)) return result;
  return result.at(-1) ?? refusal(new Error('it has no address'), settings, host);
}

/** Tries one after the other until one is logged in or ends the list; one that answers nothing leaves time for those after it. */
async function inTurn<T>(
  items: readonly T[],
  deadline: number,
  attempt: (item: T, ms: number) => Promise<Client | Refusal>,
): Promise<Client | Refusal[]> {
  const refusals: Refusal[] = [];
  for (const [i, item] of items.entries()) {
    const result = await attempt(item, Math.max((deadline - now()) / (items.length - i), LEAST_ATTEMPT_MS));
    if (!('error' in result)) return result;
    refusals.push(result);
    if (result.ends) break;
  }
  return refusals;
}

function shuffled<T>(items: readonly T[]): T[] {
  const drawn = items.map((item) => ({ item, lot: Math.random() }));
  return drawn.sort((a, b) => a.lot - b.lot).map(({ item }) => item);
}
