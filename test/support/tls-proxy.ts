import { createServer, type Server, type Socket, connect as tcp } from 'node:net';
import { TLSSocket, connect as tls } from 'node:tls';
import type { Certificate } from './certificates.js';

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const PLUS = Buffer.from('SCRAM-SHA-256-PLUS\0');

/**
 * Someone in the middle who ends the client's TLS with a certificate that the client believes, and speaks TLS to the server himself.
 * @param options.hidePlus he also takes SCRAM-SHA-256-PLUS out of what the server offers
 */
export async function startTlsProxy(
  certificate: Certificate,
  serverPort: number,
  options: { hidePlus: boolean },
): Promise<{ port: number; stop(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => {});
    client.once('data', () => {
      client.write('S');
      const inner = new TLSSocket(client, { isServer: true, ...certificate });
      const upstream = tcp(serverPort, '127.0.0.1', () => upstream.write(SSL_REQUEST));
      sockets.add(upstream);
      upstream.on('error', () => {});
      inner.on('error', () => upstream.destroy());
      upstream.once('data', () => {
        const outer = tls({ socket: upstream, rejectUnauthorized: false }, () => {
          inner.pipe(outer);
          outer.on('data', (data) => inner.write(options.hidePlus ? withoutPlus(data) : data));
        });
        outer.on('error', () => inner.destroy());
        outer.on('close', () => inner.end());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** AuthenticationSASL is `R`, length, 10, then the names. */
function withoutPlus(data: Buffer): Buffer {
  const at = data.indexOf(PLUS);
  if (data[0] !== 0x52 || at !== 9) return data;
  const shorter = Buffer.concat([data.subarray(0, at), data.subarray(at + PLUS.length)]);
  shorter.writeInt32BE(data.readInt32BE(1) - PLUS.length, 1);
  return shorter;
}
