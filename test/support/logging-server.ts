import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** Who came to a server, and what was told to it. */
export interface Visit {
  /** The server's name. */
  server: string;
  user: string | undefined;
  dbname: string | undefined;
  options: string | undefined;
  password: string | undefined;
}

const MANNERS = {
  primary: {},
  standby: {},
  refuses: {},
  starting: {},
  'asks nothing': { asks: 'nothing' },
  'asks md5': { asks: 'md5' },
  'asks SCRAM': { asks: ['SCRAM-SHA-256'] },
  'offers PLUS': { asks: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'] },
  'asks OAuth': { asks: ['OAUTHBEARER'] },
  'asks GSSAPI': { asks: 'gss' },
} as const satisfies Record<string, { asks?: string | readonly string[] }>;
export type Manner = keyof typeof MANNERS;

/** Servers that ask for a password in plain text, or what their name says, and write down what they are told; none of them can TLS. */
export interface LoggingServers {
  port(manner: Manner): number;
  /** Folder of the Unix sockets, with the same ports. */
  sockets: string;
  /** What came since the last call. */
  visits(): Visit[];
  stop(): void;
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const text = (...parts: string[]) => Buffer.from(parts.map((part) => `${part}\0`).join(''));
const error = (code: string) =>
  message('E', Buffer.concat([text('SFATAL', 'VFATAL', `C${code}`, 'Mno'), Buffer.from([0])]));
const int32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
};

export async function startLoggingServers(folder: string, manners: readonly Manner[]): Promise<LoggingServers> {
  let log: Visit[] = [];
  const servers: Server[] = [];
  const ports = new Map<Manner, number>();
  const listen = (server: Server, at: number | string) =>
    new Promise<void>((resolve) => {
      servers.push(server);
      if (typeof at === 'string') server.listen(at, resolve);
      else server.listen(at, '127.0.0.1', resolve);
    });
  for (const manner of manners) {
    const answer = (socket: Socket, where: string) =>
      serve(socket, manner, `${where} ${manner}`, (visit) => log.push(visit));
    const tcp = createServer((socket) => answer(socket, 'tcp'));
    await listen(tcp, 0);
    const { port } = tcp.address() as { port: number };
    ports.set(manner, port);
    await listen(
      createServer((socket) => answer(socket, 'socket')),
      join(folder, `.s.PGSQL.${port}`),
    );
  }
  return {
    port: (manner) => ports.get(manner) as number,
    sockets: folder,
    visits: () => {
      const all = log;
      log = [];
      return all;
    },
    stop: () => {
      for (const server of servers) server.close();
    },
  };
}

function request(asks: string | readonly string[]): Buffer {
  if (asks === 'md5') return Buffer.concat([int32(5), Buffer.from('salt')]);
  if (asks === 'gss') return int32(7);
  return typeof asks === 'string' ? int32(3) : Buffer.concat([int32(10), text(...asks), Buffer.from([0])]);
}

function loggedIn(manner: Manner): Buffer {
  return Buffer.concat([
    message('R', int32(0)),
    message('S', text('server_version', '18.0')),
    message('S', text('client_encoding', 'UTF8')),
    message('S', text('in_hot_standby', manner === 'standby' ? 'on' : 'off')),
    message('S', text('default_transaction_read_only', 'off')),
    message('K', Buffer.concat([int32(1), int32(1)])),
    message('Z', Buffer.from('I')),
  ]);
}

function serve(socket: Socket, manner: Manner, server: string, note: (visit: Visit) => void): void {
  let buffer = Buffer.alloc(0);
  let visit: Visit | undefined;
  const { asks = 'password' } = MANNERS[manner] as { asks?: string | readonly string[] };
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const head = visit ? 1 : 0;
      if (buffer.length < head + 4) return;
      const length = buffer.readInt32BE(head);
      // A TLS handshake, for one: nothing that this server understands.
      if (length < 4 || length > 100_000) return void socket.destroy();
      if (buffer.length < head + length) return;
      const body = buffer.subarray(head + 4, head + length);
      const type = visit ? String.fromCharCode(buffer[0] as number) : '';
      buffer = buffer.subarray(head + length);
      const code = visit ? 0 : body.readInt32BE(0);
      if (!visit && (code === SSL_REQUEST || code === GSS_REQUEST)) socket.write('N');
      else if (!visit) {
        const fields = body.subarray(4).toString().split('\0');
        const value = (name: string) => {
          const at = fields.findIndex((field, i) => i % 2 === 0 && field === name);
          return at < 0 ? undefined : fields[at + 1];
        };
        visit = {
          server,
          user: value('user'),
          dbname: value('database'),
          options: value('options'),
          password: undefined,
        };
        note(visit);
        if (manner === 'starting') return void socket.end(error('57P03'));
        socket.write(asks === 'nothing' ? loggedIn(manner) : message('R', request(asks)));
      } else if (type === 'p') {
        // Of SCRAM the mechanism: what follows is random.
        visit.password = body.toString().split('\0')[0];
        if (manner === 'refuses' || Array.isArray(asks)) return void socket.end(error('28P01'));
        socket.write(loggedIn(manner));
      } else if (type === 'Q') {
        // What shows that there is a server behind a pooler; nothing else is answered.
        const answer = body.toString() === 'SELECT 1\0' ? message('I', Buffer.alloc(0)) : error('0A000');
        socket.write(Buffer.concat([answer, message('Z', Buffer.from('I'))]));
      } else socket.end();
    }
  });
}
