import pg from 'pg';
import type { Client } from './client.js';
import { isServerError } from './server-error.js';
import { isConnectionLost } from './sqlstate.js';

/** After a cancel request the server gets this long to answer before the connection is cut: SIGTERM has 2 s in all. */
const CANCEL_GRACE_MS = 1000;

/** Runs `work`; when the signal comes, cancels what the server is doing for this client. */
export async function cancellable<T>(
  client: Client,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  let cut: NodeJS.Timeout | undefined;
  const onAbort = () => {
    if (!isDestroyed(client)) requestCancel(client);
    cut = setTimeout(() => destroy(client), CANCEL_GRACE_MS);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await work();
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    throw reasonOf(client, error);
  } finally {
    clearTimeout(cut);
    signal?.removeEventListener('abort', onAbort);
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
    cut = setTimeout(() => destroy(client), CANCEL_GRACE_MS + 200);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(cut);
    signal.removeEventListener('abort', onAbort);
  };
}

/** Sends a CancelRequest on a connection of its own; its outcome shows on the cancelled one. */
function requestCancel(client: Client): void {
  const connection = new pg.Connection({} as never) as unknown as {
    connect(port: number | string, host?: string): void;
    cancel(pid: number, key: unknown): void;
    attachListeners(): void;
    on(event: string, listener: () => void): void;
  };
  connection.on('error', () => {});
  // Nothing is answered to it, and what comes all the same is not read.
  connection.attachListeners = () => {};
  connection.on('connect', () =>
    connection.cancel(client.processID as number, (client as unknown as { secretKey: unknown }).secretKey),
  );
  if (client.address.startsWith('/')) connection.connect(`${client.address}/.s.PGSQL.${client.port}`);
  else connection.connect(client.port, client.address);
}

const streamOf = (client: Client) =>
  (client as unknown as { connection: { stream: { destroy(): void; destroyed: boolean } } }).connection.stream;

/** Cuts a connection without a word to the server. */
export function destroy(client: Client): void {
  streamOf(client).destroy();
}

/** It is cut already: nobody waits for what the server does. */
function isDestroyed(client: Client): boolean {
  return streamOf(client).destroyed;
}

/** Ends a connection without waiting for a server that doesn't answer. */
export async function disconnect(client: Client): Promise<void> {
  const cut = setTimeout(() => destroy(client), CANCEL_GRACE_MS);
  await client.end().catch(() => {});
  clearTimeout(cut);
}
