import { KasmDbError } from '../app/errors.js';
import type { ConnectionSettings } from '../config/settings.js';
import { tlsAttempts } from '../config/tls.js';
import type { Client } from './client.js';
import { withDeadline } from './deadline.js';
import { logIn, type Progress, type Target } from './log-in.js';
import { disconnect } from './query.js';
import { hostText, isTlsRefusal, type Refusal, refusal, unanswered, wrongKind } from './refusal.js';
import { isServerError } from './server-error.js';
import { mismatch } from './session-attrs.js';

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
