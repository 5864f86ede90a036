import type { QueryResult } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { TargetSessionAttrs } from '../config/parameters.js';
import type { ConnectionSettings } from '../config/settings.js';
import { tlsAttempts } from '../config/tls.js';
import type { Client } from './client.js';
import { withDeadline } from './deadline.js';
import { logIn, type Progress, type Target } from './log-in.js';
import { disconnect } from './query.js';
import { hostText, isTlsRefusal, type Refusal, refusal, unanswered, wrongKind } from './refusal.js';
import { isServerError } from './server-error.js';

/** Logs in to one address of a host, with each kind of encryption that the sslmode allows. @throws KasmDbError usage; the signal's reason */
export async function tryAddress(
  settings: ConnectionSettings,
  target: Target,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Client | Refusal> {
  let first: unknown;
  let unusable: unknown;
  for (const tls of tlsAttempts(settings, target)) {
    const progress: Progress = { handshake: false };
    try {
      const options = tls === false ? false : tls();
      const client = await logIn(settings, target, { tls: options, timeoutMs, progress, signal });
      return await requireServer(client, settings, target, { timeoutMs, signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof KasmDbError && error.outcome === 'usage') {
        if (settings.sslmode !== 'prefer') throw error;
        // As in libpq: certificates that cannot be used only matter to `prefer` where the server insists on TLS.
        unusable = error;
        continue;
      }
      if (progress.answer !== undefined) return refusal(noPostgres(progress.answer, target), settings, target);
      if (first === undefined || isTlsRefusal(first)) first = error;
      // The other kind of attempt only helps where this one was refused for its kind; a certificate of ours that the server refuses
      // after its own handshake is not (libpq 15 neither falls back then).
      if (isServerError(error) ? !error.code.startsWith('28') : !isTlsRefusal(error) || progress.handshake) break;
    }
  }
  if (unusable !== undefined && isServerError(first) && first.code.startsWith('28')) throw unusable;
  return refusal(first, settings, target);
}

/**
 * The first answer of the server itself, and whether it is of the kind that is wished for. A pooler takes a login without any server behind it, so
 * a first query that fails is a refused login too. What is refused is disconnected.
 */
async function requireServer(
  client: Client,
  settings: ConnectionSettings,
  target: Target,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<Client | Refusal> {
  const ask = async () => {
    await client.query('SELECT 1').catch((error) => {
      if (!refusesIsolation(error)) throw error;
    });
    return mismatch(client, settings.targetSessionAttrs);
  };
  try {
    const wrong = await withDeadline(client, timeoutMs, ask, { signal });
    if (wrong === undefined) return client;
    void disconnect(client);
    return wrongKind(settings, target, wrong);
  } catch (error) {
    void disconnect(client);
    signal?.throwIfAborted();
    return unanswered(error, target);
  }
}

/** PostgreSQL itself, a standby, refuses what role or database have set (serializable); each transaction of ours sets its own. */
function refusesIsolation(error: unknown): boolean {
  return isServerError(error) && error.code === '0A000' && error.routine !== undefined;
}

function noPostgres(answer: string, target: Target): KasmDbError {
  const what = answer.startsWith('HTTP/') ? 'HTTP' : 'something else';
  return new KasmDbError('unreachable', `${hostText(target)} speaks ${what}, not PostgreSQL`, {
    hint: 'check POSTGRES_HOST and POSTGRES_PORT',
  });
}

/** Of each kind: what is asked, the answer that is wished for, and what another one means. Of prefer-standby there are two passes, `standby` and `any`. */
const KINDS: Partial<
  Record<TargetSessionAttrs, { ask: (client: Client) => Promise<boolean>; wish: boolean; else: string }>
> = {
  primary: { ask: isStandby, wish: false, else: 'is a standby' },
  standby: { ask: isStandby, wish: true, else: 'is not a standby' },
  'read-write': { ask: isReadOnly, wish: false, else: 'takes no writes' },
  'read-only': { ask: isReadOnly, wish: true, else: 'takes writes' },
};

/**
 * Is this the kind of server that is wished for? As libpq decides it (PostgreSQL manual, 34.1.2, target_session_attrs): from what the
 * server announced, else by asking.
 * @returns undefined when it is, else what it is instead
 */
async function mismatch(client: Client, wished: TargetSessionAttrs): Promise<string | undefined> {
  const kind = KINDS[wished];
  return kind && (await kind.ask(client)) !== kind.wish ? kind.else : undefined;
}

async function isStandby(client: Client): Promise<boolean> {
  const { in_hot_standby: said } = client.reported;
  if (said !== undefined) return said === 'on';
  // A standby knows no serializable, which role or database may have set.
  const asked = 'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.pg_is_in_recovery() AS standby; COMMIT';
  const [, answer] = (await client.query(asked)) as unknown as QueryResult[];
  return answer?.rows[0].standby;
}

async function isReadOnly(client: Client): Promise<boolean> {
  const { in_hot_standby: standby, default_transaction_read_only: readOnly } = client.reported;
  if (standby !== undefined && readOnly !== undefined) return standby === 'on' || readOnly === 'on';
  return (await client.query('SHOW transaction_read_only')).rows[0].transaction_read_only === 'on';
}
