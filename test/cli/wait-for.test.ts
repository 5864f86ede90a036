/** `kasm-db wait-for` on servers of our own. */
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { cli, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { watchMemory } from '../support/memory.js';
import { freePort } from '../support/server.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const http = (answer: RequestListener) => listen(createServer(answer));
const answering = (status: number, headers = {}) => http((_, response) => response.writeHead(status, headers).end());
const of = (port: number) => `http://127.0.0.1:${port}/api/__healthcheck`;

describe('wait-for', () => {
  it('ends with 0 at the first success, and asks for the path', async () => {
    const asked: (string | undefined)[] = [];
    const port = await http((request, response) => {
      asked.push(request.url);
      response.end('ok');
    });
    const run = await cli(['wait-for', of(port), '--json'], { POSTGRES_PORT: 'nonsense' });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.json()).toMatchObject({ command: 'wait-for', outcome: 'ok', exitCode: 0 });
    expect(run.json().database).toBeUndefined();
    expect(asked).toEqual(['/api/__healthcheck']);
  });

  it('says what it waits for, once for each change, and goes on when it is there', async () => {
    let asks = 0;
    const port = await http((_, response) => {
      asks++;
      response.writeHead(asks > 2 ? 200 : 503).end();
    });
    const run = await cli(['wait-for', of(port)]);
    expect(run.code).toBe(0);
    expect(run.stderr).toBe(`waiting: ${of(port)} answers with HTTP 503\n`);
    expect(run.stdout).toMatch(/^Ready\. .* answers \(after /);
  });

  it('waits for a server that is not there yet', async () => {
    const port = await freePort();
    const waiting = startCli(['wait-for', of(port)]);
    await waitFor(async () => waiting.stderr().match(/^waiting: .* does not answer: /) ?? [], 'it to wait');
    const server = createServer((_, response) => response.end());
    servers.push(server);
    server.listen(port, '127.0.0.1');
    expect((await waiting.ended).code).toBe(0);
  });

  it.each<[string, () => Promise<number>, RegExp]>([
    ['an error of the server', () => answering(500), /answers with HTTP 500; gave up after 200 ms/],
    ['a redirect, whose target was not asked for', () => answering(302, { location: '/' }), /HTTP 302/],
    ['nothing that speaks HTTP', () => listen(createTcpServer((socket) => socket.end('no\n'))), /does not answer: /],
  ])('gives up with exit 4: %s', async (_, serve, message) => {
    const run = await cli(['wait-for', of(await serve()), '--timeout', '200ms', '--json']);
    expect(run.code).toBe(4);
    expect(run.json().error).toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('kubectl get pods'),
    });
  });

  it('SIGTERM ends it while a server takes the question and never answers', async () => {
    const port = await listen(createTcpServer((socket) => socket.on('error', () => {})));
    let connected: () => void = () => {};
    const connection = new Promise<void>((resolve) => {
      connected = resolve;
    });
    servers.at(-1)?.once('connection', () => connected());
    const waiting = startCli(['wait-for', of(port), '--json']);
    await connection;
    waiting.child.kill('SIGTERM');
    const run = await waiting.ended;
    expect(run.code).toBe(143);
    expect(run.json()).toMatchObject({
      outcome: 'interrupted',
      error: { message: 'interrupted by SIGTERM; what was not committed is rolled back' },
    });
  });

  it.each([
    'kasm-api:8080',
    'ftp://kasm-api/',
    'http://user:hunter2@kasm-api/',
    'http://',
  ])('%s is refused with exit 2, and not repeated', async (address) => {
    const run = await cli(['wait-for', address]);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/takes an address that begins with http/);
    expect(run.stderr).not.toContain('hunter2');
  });
});

/** What an address says that is no healthy server. @param code of the whole call */
const HOSTILE: Record<string, [talk: (socket: Socket) => void, code: number]> = {
  'headers without end': [(socket) => flood(socket, 'HTTP/1.1 200 OK\r\n', `X-Y: ${'y'.repeat(1000)}\r\n`), 4],
  'a header without end': [(socket) => flood(socket, 'HTTP/1.1 200 OK\r\nX: ', 'y'.repeat(1000)), 4],
  'interim answers without end': [(socket) => flood(socket, '', 'HTTP/1.1 102 Processing\r\n\r\n'), 4],
  'a body without end': [
    (socket) =>
      flood(socket, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', `400\r\n${'y'.repeat(1024)}\r\n`),
    0,
  ],
  'a reason that forges a line': [
    (socket) => void socket.end('HTTP/1.1 500 \u001b[2J\u2028Ready.\r\nContent-Length: 0\r\n\r\n'),
    4,
  ],
  nonsense: [(socket) => void socket.end(Buffer.alloc(1 << 20)), 4],
};

function flood(socket: Socket, before: string, again: string): void {
  socket.write(before);
  const piece = again.repeat(Math.ceil(65_536 / again.length));
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
    if (!socket.destroyed) socket.once('drain', more);
  };
  more();
}

describe.concurrent('wait-for, of an address that is hostile', () => {
  it.each(Object.entries(HOSTILE))('%s: it ends, with little memory', async (_, [talk, code]) => {
    const sockets: Socket[] = [];
    const server = createTcpServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.once('data', () => talk(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const wait = startCli(['wait-for', of((server.address() as AddressInfo).port), '--timeout', '2s', '--json']);
    const megabytes = watchMemory(wait.child);
    const run = await wait.ended;
    for (const socket of sockets) socket.destroy();
    server.close();
    expect(run.code, run.stderr).toBe(code);
    expect(run.json().exitCode).toBe(code);
    expect(run.stderr).not.toMatch(/^Ready|verbose/m);
    expect(megabytes()).toBeLessThan(200);
  });
});
