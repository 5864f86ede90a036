import { connect, createServer, type Socket } from 'node:net';
import { isEncryptionRequest, type Message, MessageStream } from './wire.js';

export type Direction = 'to server' | 'to client';

/** What a proxy saw pass, in order, over all connections. */
export interface Passed extends Message {
  direction: Direction;
  /** 0-based number of its connection. */
  connection: number;
}

/** The two ends of one connection, for whoever disturbs it. */
export interface Link {
  client: Socket;
  server: Socket;
  /** Passes the message on that the fault has stopped. */
  forward(): void;
}

export interface FaultProxy {
  port: number;
  passed: Passed[];
  /** From now on nothing passes in either direction, on no connection, old or new; `false` ends that for new ones. */
  swallow(on: boolean): void;
  /** Resets all connections. */
  reset(): void;
  stop(): void;
}

/**
 * A TCP proxy that reads PostgreSQL's protocol and calls `disturb` at the message with the given number (0-based, counted over all
 * connections and both directions as they come), or at each that is picked. That message is not passed on unless `disturb` does so;
 * what follows it in its direction waits until `disturb` has ended.
 * @param rewrite gives the bytes that go on instead of a message
 */
export async function startFaultProxy(
  target: number,
  at: number | ((message: Passed) => boolean) = -1,
  disturb: (link: Link, proxy: FaultProxy) => void | Promise<void> = () => {},
  rewrite: (message: Message, direction: Direction) => Buffer = ({ bytes }) => bytes,
): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const swallowed = new Set<Socket>();
  const passed: Passed[] = [];
  let connections = 0;
  let swallowing = false;

  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const connection = connections++;
    const fromServer = new MessageStream('server');
    for (const socket of [client, upstream]) {
      socket.setNoDelay();
      socket.on('error', () => {});
      sockets.add(socket);
    }
    const relay = (from: Socket, to: Socket, direction: Direction) => {
      const stream = direction === 'to server' ? new MessageStream('client') : fromServer;
      let order = Promise.resolve();
      const pass = async (message: Message) => {
        if (swallowing || swallowed.has(from)) return void swallowed.add(from).add(to);
        if (direction === 'to server' && isEncryptionRequest(message)) fromServer.expectSingleByte();
        const forward = () => {
          if (!to.destroyed && to.writable) to.write(rewrite(message, direction));
        };
        const seen = { ...message, direction, connection };
        passed.push(seen);
        if (typeof at === 'number' ? passed.length - 1 === at : at(seen))
          await disturb({ client, server: upstream, forward }, proxy);
        else forward();
      };
      from.on('data', (chunk) => {
        for (const message of stream.push(chunk)) order = order.then(() => pass(message));
      });
      from.on('close', () => {
        order = order.then(() => {
          if (!swallowed.has(from)) to.end();
        });
      });
    };
    relay(client, upstream, 'to server');
    relay(upstream, client, 'to client');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  };
  const proxy: FaultProxy = {
    port: (server.address() as { port: number }).port,
    passed,
    swallow: (on) => {
      swallowing = on;
      if (on) for (const socket of sockets) swallowed.add(socket);
    },
    reset,
    stop: () => {
      reset();
      server.close();
    },
  };
  return proxy;
}
