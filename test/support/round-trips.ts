import { startProxy } from './proxy.js';

/** Round trips after the TCP connect. */
export interface RoundTrips {
  /** From the startup message to the server's answer to the last message of SCRAM. */
  authentication: number;
  others: number;
}

/**
 * Counts what a client does through a proxy: a round trip begins where the client sends something after an answer, and an answer has come.
 * @param target port of the server
 * @param work connects to the proxy's port, once
 */
export async function checkOnTheWire(target: number, work: (port: number) => Promise<void>): Promise<RoundTrips> {
  const proxy = await startProxy(target);
  try {
    await work(proxy.port);
    const trips: { authentication: boolean }[] = [];
    let waiting = false;
    for (const { direction, type, connection } of proxy.passed) {
      if (connection > 0) throw new Error('more than one connection');
      if (direction === 'to client') waiting = false;
      // Terminate is not answered.
      else if (!waiting && type !== 'X') {
        // '' is the startup message, 'p' any of SCRAM's.
        trips.push({ authentication: type === '' || type === 'p' });
        waiting = true;
      }
    }
    const authentication = trips.filter((trip) => trip.authentication).length;
    return { authentication, others: trips.length - authentication };
  } finally {
    proxy.stop();
  }
}
