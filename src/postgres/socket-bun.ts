import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What Bun has built in. */
interface BunSocket {
  /** @returns how many bytes the system has taken; -1: the socket is closed */
  write(data: Uint8Array): number;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delayMs: number): void;
  ref(): void;
  unref(): void;
  end(): void;
  terminate(): void;
}
declare const Bun: {
  connect(options: {
    hostname?: string;
    port?: number;
    unix?: string;
    socket: {
      data(socket: BunSocket, data: Uint8Array): void;
      drain(socket: BunSocket): void;
      close(socket: BunSocket): void;
      error(socket: BunSocket, error: Error): void;
    };
  }): Promise<BunSocket>;
};

/**
 * Stands in for socket.ts in the executable: as much of net.Socket as pg uses, on Bun's own. To load node:net and to connect by it costs
 * a check 4 of its 22 ms.
 */
export function fastSocket(): Duplex {
  return new FastSocket() as unknown as Duplex;
}

class FastSocket extends EventEmitter {
  writable = true;
  private socket: BunSocket | undefined;
  /** In its place where Bun's could not connect: node:net tries every address, and says why none will do. */
  private other: Socket | undefined;
  private waiting: { data: Uint8Array; done: (() => void) | undefined }[] = [];
  private ended = false;
  private closed = false;

  connect(portOrPath: number | string, host?: string): this {
    const where =
      typeof portOrPath === 'string' && host === undefined
        ? { unix: portOrPath }
        : { hostname: host as string, port: Number(portOrPath) };
    Bun.connect({
      ...where,
      socket: {
        data: (_, data) => void this.emit('data', Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
        drain: () => this.flush(),
        close: () => this.gone(),
        error: (_, error) => this.gone(error),
      },
    }).then(
      (socket) => {
        if (this.closed) return socket.terminate();
        this.socket = socket;
        socket.setNoDelay(true);
        this.emit('connect');
      },
      () => this.connectByNode(portOrPath, host),
    );
    return this;
  }

  private connectByNode(portOrPath: number | string, host?: string): void {
    if (this.closed) return;
    const { connect } = process.getBuiltinModule('node:net');
    this.other = host === undefined ? connect(String(portOrPath)) : connect(Number(portOrPath), host);
    this.other.setNoDelay(true);
    for (const name of ['connect', 'data', 'end', 'error'] as const)
      this.other.on(name, (...args: unknown[]) => void this.emit(name, ...args));
    this.other.on('close', () => {
      this.writable = false;
      this.closed = true;
      this.emit('close');
    });
  }

  write(data: Uint8Array, done?: () => void): boolean {
    if (this.other) return this.other.write(data, done);
    if (this.closed) return false;
    this.waiting.push({ data, done });
    this.flush();
    return this.waiting.length === 0;
  }

  private flush(): void {
    for (let first = this.waiting[0]; first && this.socket; first = this.waiting[0]) {
      const taken = this.socket.write(first.data);
      if (taken < 0) return;
      if (taken < first.data.length) {
        first.data = first.data.subarray(taken);
        return;
      }
      this.waiting.shift();
      // Not before the caller goes on, as with net.Socket: pg listens for the end only after it has asked for it.
      if (first.done) queueMicrotask(first.done);
    }
    if (this.ended && this.waiting.length === 0) this.socket?.end();
  }

  end(): this {
    this.writable = false;
    this.ended = true;
    if (this.other) this.other.end();
    else if (this.socket) this.flush();
    else this.destroy();
    return this;
  }

  destroy(error?: Error): this {
    if (this.other) this.other.destroy(error);
    else {
      this.socket?.terminate();
      queueMicrotask(() => this.gone(error));
    }
    return this;
  }

  private gone(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.writable = false;
    this.waiting = [];
    if (error) this.emit('error', error);
    else this.emit('end');
    this.emit('close');
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(on: boolean, delayMs: number): this {
    (this.other ?? this.socket)?.setKeepAlive(on, delayMs);
    return this;
  }

  ref(): this {
    (this.other ?? this.socket)?.ref();
    return this;
  }

  unref(): this {
    (this.other ?? this.socket)?.unref();
    return this;
  }
}
