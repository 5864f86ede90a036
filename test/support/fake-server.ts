import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.js';

const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;

/** The server's end of one connection. */
export class Peer {
  private readonly held: Buffer[] = [];
  private waiting: (() => void) | undefined;
  private closed = false;
  private raw: Socket | undefined;

  constructor(private socket: Socket) {
    this.listen(socket);
  }

  get gone(): boolean {
    return this.closed;
  }

  /** Whoever wants TLS takes over from here. */
  encrypt(certificate: Certificate): void {
    const raw = this.socket;
    this.raw = raw;
    raw.removeAllListeners('data');
    this.socket = new TLSSocket(raw, { isServer: true, ...certificate });
    this.listen(this.socket);
  }

  private listen(socket: Socket): void {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.held.push(data);
      this.waiting?.();
    });
    socket.on('close', () => {
      this.closed = true;
      this.waiting?.();
    });
  }

  /** Exactly so many bytes. @throws when the client is gone */
  async read(count: number): Promise<Buffer> {
    for (;;) {
      const all = Buffer.concat(this.held);
      if (all.length >= count) {
        this.held.length = 0;
        if (all.length > count) this.held.push(all.subarray(count));
        return all.subarray(0, count);
      }
      if (this.closed) throw new Gone();
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
    }
  }

  /** The client's next message, behind the login's first one. */
  async message(): Promise<{ type: string; body: Buffer }> {
    const head = await this.read(5);
    return { type: String.fromCharCode(head[0] as number), body: await this.read(head.readInt32BE(1) - 4) };
  }

  /** The client's next query; other messages are passed over. */
  async query(): Promise<string> {
    for (;;) {
      const { type, body } = await this.message();
      if (type === 'Q') return body.toString('utf8', 0, body.length - 1);
      if (type === 'X') throw new Gone();
    }
  }

  send(...messages: Buffer[]): void {
    if (!this.closed) this.socket.write(Buffer.concat(messages));
  }

  /** Sends bytes beside TLS, as somebody in the middle would. */
  sendBelow(bytes: Buffer): void {
    if (!this.closed) this.raw?.write(bytes);
  }

  /** Sends the same again and again, as fast as it is taken, until the client has enough. */
  async flood(bytes: Buffer): Promise<void> {
    const piece = Buffer.concat(Array(Math.max(1, Math.floor(65_536 / bytes.length))).fill(bytes));
    while (!this.closed) {
      if (this.socket.write(piece)) await new Promise((resolve) => setImmediate(resolve));
      else
        await new Promise<void>((resolve) => {
          this.socket.once('drain', resolve);
          this.socket.once('close', resolve);
        });
    }
  }

  /** Sends byte by byte. @param ms between two */
  async drip(bytes: Buffer, ms: number): Promise<void> {
    for (const byte of bytes) {
      if (this.closed) return;
      this.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  /** Says nothing until the client goes. */
  async hang(): Promise<void> {
    while (!this.closed)
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

class Gone extends Error {}

export interface FakeServer {
  port: number;
  /** Connections so far, without those of cancel requests. */
  connections(): number;
  cancels(): number;
  stop(): void;
}

/**
 * Something that answers where PostgreSQL should.
 * @param talk what it says once the client has sent its startup message; the connection stays open when it ends
 * @param options.first what it says before that; true: it went another way, and `talk` is not called
 * @param options.tls takes the client's wish for TLS
 */
export async function startFakeServer(
  talk: (peer: Peer) => Promise<void> | void,
  options: { tls?: Certificate; first?: (peer: Peer) => Promise<boolean> | boolean } = {},
): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let cancels = 0;
  const serve = async (peer: Peer) => {
    if (options.first && (await options.first(peer))) return;
    for (;;) {
      const length = (await peer.read(4)).readInt32BE(0);
      const body = await peer.read(length - 4);
      const code = body.readInt32BE(0);
      if (code === CANCEL_REQUEST) {
        cancels++;
        return peer.end();
      }
      if (code !== SSL_REQUEST) break;
      peer.send(Buffer.from(options.tls ? 'S' : 'N'));
      if (options.tls) peer.encrypt(options.tls);
    }
    connections++;
    await talk(peer);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    const peer = new Peer(socket);
    serve(peer).catch((error) => {
      if (!(error instanceof Gone)) throw error;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    cancels: () => cancels,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
