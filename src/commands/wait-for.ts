import { KasmDbError, messageOf } from '../app/errors.js';
import { backoff, retry } from '../app/retry.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import { parseDuration } from '../config/duration.js';
import type { Answer, CommandContext } from './command.js';

export interface WaitForOptions {
  /** How long to keep asking; default 10m. */
  timeout?: string;
}

/** An answer that takes longer is none, in milliseconds. */
const ANSWER_MS = 5000;
const BACKOFF = { firstMs: 500, maxMs: 5000 };

/**
 * Asks an HTTP address until it answers with a success (2xx): the init container of what needs the API, as the gate is of what needs the
 * database.
 * @throws KasmDbError unreachable when the time is up; usage for an address that is none
 */
export async function waitForCommand(ctx: CommandContext, address: string, options: WaitForOptions): Promise<Answer> {
  const url = httpUrl(address);
  const waitMs = parseDuration(options.timeout ?? '10m', '--timeout');
  const started = now();
  let said = '';
  try {
    await retry(() => ask(url, ctx.signal), {
      deadline: started + waitMs,
      backoff: backoff(BACKOFF),
      retryable: isUnreachable,
      onRetry: (error) => {
        const text = messageOf(error);
        if (text !== said) ctx.events.waiting?.(text);
        said = text;
      },
      signal: ctx.signal,
    });
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    throw new KasmDbError(error.outcome, `${error.message}; gave up after ${formatMs(waitMs)}`, {
      ...error.details,
      cause: error,
    });
  }
  return { fields: {}, text: (s) => `${s.green('Ready.')} ${url} answers (after ${formatMs(now() - started)}).` };
}

function httpUrl(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) {
    // Not repeated in the message: it may hold a password.
    throw new KasmDbError('usage', 'wait-for takes an address that begins with http:// or https://, without a login', {
      hint: 'as in: kasm-db wait-for http://kasm-api:8080/api/__healthcheck',
    });
  }
  return url.href;
}

/** One question. A redirect is no success: what stands behind it was not asked for. */
async function ask(url: string, signal: AbortSignal): Promise<void> {
  let status: number;
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    // The body is of no interest, and must not keep the connection.
    await response.body?.cancel();
    status = response.status;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw unreachable(url, reasonOf(error), error);
  }
  if (status < 200 || status > 299) throw unreachable(url, `answers with HTTP ${status}`);
}

function unreachable(url: string, reason: string, cause?: unknown): KasmDbError {
  return new KasmDbError('unreachable', `${url} ${reason}`, {
    hint: 'look at the pods behind that address: kubectl get pods, then the log of one that is not ready',
    ...(cause === undefined ? {} : { cause }),
  });
}

function isUnreachable(error: unknown): error is KasmDbError {
  return error instanceof KasmDbError && error.outcome === 'unreachable';
}

/** fetch says "fetch failed"; what happened is in its cause. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `does not answer within ${formatMs(ANSWER_MS)}`;
  const said = messageOf(error instanceof Error && error.cause ? error.cause : error);
  // Bun adds advice for whoever has written the call.
  return `does not answer: ${said.replace(/ fetching ".*$/, '')}`;
}
