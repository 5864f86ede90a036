import type { Socket } from 'node:net';
import pg from 'pg';
import type { Client } from './client.js';
import { isServerError } from './server-error.js';
import { isConnectionLost } from './sqlstate.js';

/** After a cancel request the server gets this long to answer before the connection is cut: SIGTERM has 2 s in all. */
const CANCEL_GRACE_MS = 1000;

/** Runs `work`; when the signal comes, cancels what the server is doing for this client. */
export async function cancellable<T>(client: Client, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let cancelled: Promise<void> | undefined;
  const onAbort = () => {
    // Where it is cut already nobody waits for what the server does.
    if (!client.connection.stream.destroyed) cancelled = requestCancel(client);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await work();
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw reasonOf(client, error);
  } finally {
    signal.removeEventListener('abort', onAbort);
    await cancelled;
  }
}

/** The driver only knows that the connection is gone; the server may have said why between two messages. */
export function reasonOf(client: Client, error: unknown): unknown {
  return client.lastWords && !isServerError(error) && isConnectionLost(error) ? client.lastWords : error;
}

/**
 * Cuts a connection some time after the signal came, whatever it is doing then: without it a server that has gone silent would keep an
 * interrupted run from reporting within its 2 s.
 * @returns forgets it, when the work is done
 */
export function cutAfterAbort(client: Client, signal: AbortSignal): () => void {
  let cut: NodeJS.Timeout | undefined;
  const onAbort = () => {
    cut = setTimeout(() => destroy(client), CANCEL_GRACE_MS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(cut);
    signal.removeEventListener('abort', onAbort);
  };
}

/**
 * Sends a CancelRequest on a connection of its own; its outcome shows on the cancelled one. The server closes that connection when it has read the
 * request. Until then the other one stays open: PgBouncer 1.18 dies of a request whose client is gone (its issue 801).
 */
function requestCancel(client: Client): Promise<void> {
  const connection = new pg.Connection({} as never) as unknown as {
    connect(port: number | string, host?: string): void;
    cancel(pid: number | null, key: unknown): void;
    attachListeners(stream: Socket): void;
    on(event: string, listener: () => void): void;
    stream: Socket;
  };
  return new Promise((resolve) => {
    const late = setTimeout(() => connection.stream.destroy(), CANCEL_GRACE_MS);
    connection.on('error', () => {});
    connection.on('end', () => {
      clearTimeout(late);
      resolve();
    });
    // Nothing is answered to it; only its end is waited for.
    connection.attachListeners = (stream) => void stream.resume();
    connection.on('connect', () => connection.cancel(client.processID, client.secretKey));
    if (client.address.startsWith('/')) connection.connect(`${client.address}/.s.PGSQL.${client.port}`);
    else connection.connect(client.port, client.address);
  });
}

/** Cuts a connection without a word to the server. */
export function destroy(client: Client): void {
  client.connection.stream.destroy();
}

/** Ends a connection without waiting for a server that doesn't answer. */
export async function disconnect(client: Client): Promise<void> {
  const cut = setTimeout(() => destroy(client), CANCEL_GRACE_MS);
  await client.end().catch(() => {});
  clearTimeout(cut);
}
