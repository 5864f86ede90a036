import { connect, createServer, type Socket } from 'node:net';
import { TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Certificate } from './certificates.js';
import { isEncryptionRequest, type Message, MessageStream, SSL_REQUEST } from './protocol.js';

export type Direction = 'to server' | 'to client';

/** What a proxy saw pass, in order, over all connections. */
export interface Passed extends Message {
  direction: Direction;
  /** 0-based number of its connection. */
  connection: number;
  /** 0-based number of the message, counted over all connections and both directions as they come. */
  index: number;
  /** What it holds, for whoever looks for words in it. */
  text(): string;
}

/** The two ends of one connection, for whoever disturbs it. */
export interface Link {
  client: Socket;
  server: Socket;
  /** Passes the message on that `onMessage` has dropped, or is about to. */
  forward(): void;
}

/** What is to become of a message: it goes on, it does not, or these bytes go on instead. */
export type Verdict = 'pass' | 'drop' | Buffer;

export interface ProxyOptions {
  /** Decides on each message before it goes on, perhaps later: what follows it in its direction waits until then. */
  onMessage?: (message: Passed, link: Link, proxy: TestProxy) => Verdict | Promise<Verdict>;
  /** Ends the client's TLS with this certificate, and speaks TLS to the server itself: someone in the middle. */
  tls?: Certificate;
  /** 'bytes': not PostgreSQL's protocol; each chunk that comes counts as a message. */
  cut?: 'messages' | 'bytes';
}

export interface TestProxy {
  port: number;
  passed: Passed[];
  /** From now on nothing passes in either direction, on no connection, old or new; `false` ends that for new ones. */
  swallow(on: boolean): void;
  /** Resets all connections. */
  reset(): void;
  stop(): void;
}

/** A TCP proxy on loopback before a server, which reads PostgreSQL's protocol as it passes. @param target port of the server; a function sends later connections elsewhere */
export async function startProxy(target: number | (() => number), options: ProxyOptions = {}): Promise<TestProxy> {
  const sockets = new Set<Socket>();
  const swallowed = new Set<Socket>();
  const passed: Passed[] = [];
  let connections = 0;
  let swallowing = false;

  const join = (client: Socket, upstream: Socket) => {
    const connection = connections++;
    const fromServer = stream('server', options);
    const relay = (from: Socket, to: Socket, direction: Direction) => {
      const messages = direction === 'to server' ? stream('client', options) : fromServer;
      let order = Promise.resolve();
      const pass = async (message: Message) => {
        if (swallowing || swallowed.has(from)) return void swallowed.add(from).add(to);
        if (direction === 'to server' && isEncryptionRequest(message)) fromServer.expectSingleByte();
        const write = (bytes: Buffer) => {
          if (!to.destroyed && to.writable) to.write(bytes);
        };
        const text = () => message.bytes.toString('latin1');
        const seen = { ...message, direction, connection, index: passed.length, text };
        passed.push(seen);
        const link = { client, server: upstream, forward: () => write(message.bytes) };
        const verdict = (await options.onMessage?.(seen, link, proxy)) ?? 'pass';
        if (verdict !== 'drop') write(verdict === 'pass' ? message.bytes : verdict);
      };
      from.on('data', (chunk) => {
        for (const message of messages.push(chunk)) order = order.then(() => pass(message));
      });
      from.on('close', () => {
        order = order.then(() => {
          if (!swallowed.has(from)) to.end();
        });
      });
    };
    relay(client, upstream, 'to server');
    relay(upstream, client, 'to client');
  };
  const known = (socket: Socket) => {
    socket.setNoDelay();
    socket.on('error', () => {});
    sockets.add(socket);
    return socket;
  };

  const server = createServer((client) => {
    known(client);
    const upstream = known(connect(typeof target === 'number' ? target : target(), '127.0.0.1'));
    if (!options.tls) return join(client, upstream);
    const { tls } = options;
    client.once('data', () => {
      client.write('S');
      const inner = new TLSSocket(client, { isServer: true, ...tls });
      upstream.write(SSL_REQUEST);
      upstream.once('data', () => {
        const outer = tlsConnect({ socket: upstream, rejectUnauthorized: false });
        for (const socket of [inner, outer]) socket.on('error', () => socket.destroy());
        join(inner, outer);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  };
  const proxy: TestProxy = {
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

interface Cutter {
  push(chunk: Buffer): Message[];
  expectSingleByte(): void;
}

function stream(from: 'client' | 'server', { cut }: ProxyOptions): Cutter {
  if (cut !== 'bytes') return new MessageStream(from);
  return { push: (bytes) => [{ type: '', bytes }], expectSingleByte: () => {} };
}
