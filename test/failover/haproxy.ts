import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { waitFor } from '../support/database.js';
import { freePort } from '../support/server.js';
import { startDaemon } from './process.js';

export interface Haproxy {
  port: number;
  stop(): Promise<void>;
}

export interface Backend {
  port: number;
  /** Patroni's port, which is asked who is the primary; without it whoever takes connections will do. */
  rest?: number;
  /** Gets connections only while nobody before it does. */
  backup?: boolean;
}

/**
 * HAProxy as Patroni's manual sets it up: whoever answers `/primary` with 200 gets the connections, and those of a server that no
 * longer does are cut.
 */
export async function startHaproxy(program: string, scratch: string, backends: Backend[]): Promise<Haproxy> {
  const port = await freePort();
  const config = join(scratch, `haproxy-${port}.cfg`);
  const asks = backends.every(({ rest }) => rest !== undefined);
  const lines = [
    'global',
    '  maxconn 200',
    'defaults',
    '  mode tcp',
    '  timeout connect 2s',
    '  timeout client 30m',
    '  timeout server 30m',
    '  timeout check 1s',
    'listen primary',
    `  bind 127.0.0.1:${port}`,
    ...(asks ? ['  option httpchk OPTIONS /primary', '  http-check expect status 200'] : []),
    '  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions',
    ...backends.map((backend, i) => {
      const check = backend.rest === undefined ? 'check' : `check port ${backend.rest}`;
      return `  server s${i} 127.0.0.1:${backend.port} ${check}${backend.backup ? ' backup' : ''}`;
    }),
    '',
  ];
  writeFileSync(config, lines.join('\n'), { mode: 0o644 });
  const daemon = startDaemon(program, ['-db', '-f', config], join(scratch, 'haproxy.log'));
  await waitFor(async () => ((await listens(port)) ? [1] : []), 'HAProxy');
  return { port, stop: () => daemon.stop() };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
