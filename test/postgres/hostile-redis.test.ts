import { createServer, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/folder-setup.js';
import { watchMemory } from '../support/memory.js';

const PASSWORD = `${SECRET_MARK}redis/%40x`;

/** Something that answers where Redis should. @param answer to each piece that a client sends */
async function startFakeRedis(answer: (socket: Socket, said: string) => void, hello?: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => answer(socket, data.toString()));
    hello?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function flood(socket: Socket, text: string): void {
  const piece = text.repeat(Math.ceil(65_536 / text.length));
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
    if (!socket.destroyed) socket.once('drain', more);
  };
  more();
}

const commands = (said: string) =>
  said.split('\r\n').filter((line) => /^(AUTH|HELLO|SUBSCRIBE|PUBLISH|INFO|CLIENT|SELECT|PUBSUB)$/i.test(line));
const okay = (socket: Socket, said: string) => {
  for (const command of commands(said)) if (!/^SUBSCRIBE$/i.test(command)) socket.write('+OK\r\n');
};
const subscribed = (channel: string) => `*3\r\n$9\r\nsubscribe\r\n$${channel.length}\r\n${channel}\r\n:1\r\n`;
const message = (channel: string, text: string) =>
  `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$${text.length}\r\n${text}\r\n`;

/** What such a server does. */
const HOSTILE: Record<string, Parameters<typeof startFakeRedis>> = {
  'repeats the password in its error': [
    (socket, said) => {
      for (const line of said.split('\r\n'))
        if (line.includes(SECRET_MARK))
          socket.write(`-ERR unknown command 'AUTH', with args beginning with: '${line}'\r\n`);
    },
  ],
  'repeats all that it is told': [(socket, said) => socket.write(`-ERR ${said.replace(/[\r\n]+/g, ' ')}\r\n`)],
  'never answers': [() => {}],
  'ends at once': [() => {}, (socket) => socket.end()],
  'resets at once': [() => {}, (socket) => socket.resetAndDestroy()],
  'a line without end': [() => {}, (socket) => flood(socket, '+xxxxxxxxxxxxxxxx')],
  'a bulk string of 2 GB': [
    () => {},
    (socket) => {
      socket.write('$2147483000\r\n');
      flood(socket, 'x');
    },
  ],
  'an array of arrays without end': [() => {}, (socket) => flood(socket, '*1\r\n')],
  'an array of 2 billion': [
    () => {},
    (socket) => {
      socket.write('*2147483000\r\n');
      flood(socket, '+a\r\n');
    },
  ],
  'answers that nobody asked for': [() => {}, (socket) => flood(socket, '+OK\r\n')],
  'no Redis at all': [
    () => {},
    (socket) => {
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    },
  ],
  'pushes of RESP3 without end': [() => {}, (socket) => flood(socket, `>2\r\n+message\r\n+x\r\n`)],
  'that the data has moved, always': [
    (socket, said) => {
      for (const _ of commands(said)) socket.write(`-MOVED 1 127.0.0.1:${socket.localPort}\r\n`);
    },
  ],
  'answers of other types': [
    (socket, said) => {
      for (const _ of commands(said)) socket.write('*2\r\n$-1\r\n*1\r\n:-1\r\n');
    },
  ],
  'negative lengths': [() => {}, (socket) => void socket.write('$-7\r\n*-9\r\n')],
  'errors without end': [() => {}, (socket) => flood(socket, `-ERR ${'x'.repeat(5000)}\r\n`)],
};

/** As what it is configured. */
const AS: Record<string, (port: number) => Record<string, string>> = {
  Redis: (port) => ({ KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: String(port) }),
  Cluster: (port) => ({ KASM_DB_REDIS_CLUSTER: `127.0.0.1:${port},localhost:${port}` }),
  Sentinels: (port) => ({ KASM_DB_REDIS_SENTINELS: `127.0.0.1:${port},localhost:${port}` }),
};

let runs = 0;
let most = 0;

describe.concurrent.each(Object.entries(AS))('hostile %s', (kind, as) => {
  for (const [what, [answer, hello]] of Object.entries(HOSTILE)) {
    const start = async (args: string[]) => {
      const db = await createDatabase();
      const redis = await startFakeRedis(answer, hello);
      const env = { ...db.env, ...as(redis.port), KASM_DB_REDIS_PASSWORD: PASSWORD };
      const cli = startCli(args, env);
      const megabytes = watchMemory(cli.child);
      const ended = await cli.ended;
      redis.stop();
      runs++;
      most = Math.max(most, megabytes());
      expect(megabytes()).toBeLessThan(200);
      expect(`${ended.stdout}${ended.stderr}`).not.toContain(SECRET_MARK);
      expect(ended.stderr).not.toMatch(/^\s+at |ioredis/m);
      return ended;
    };

    it(`${what}: a gate waits as long as it is told, and says so`, async () => {
      const run = await start(['check', '--wait', '3s', '--json']);
      expect(run.json()).toMatchObject({ outcome: 'pending', exitCode: 3 });
    });

    it.runIf(kind === 'Redis')(`${what}: migrate is done all the same`, async () => {
      const run = await start(['migrate', '--json']);
      expect(run.json(), run.stderr).toMatchObject({ outcome: 'ok' });
    });

    it(`${what}: doctor names it`, async () => {
      const run = await start(['doctor', '--json']);
      const line = run.json().checks?.find(({ name }) => /redis/i.test(name));
      // Who answers OK to everything cannot be told from a Redis.
      expect(kind !== 'Sentinels' && what.startsWith('answers') ? 'warning' : line?.state).not.toBe('ok');
      expect(line?.text.length).toBeLessThan(1000);
    });
  }
});

describe.concurrent('a hostile Redis', () => {
  it('forged notifications make a gate look no more often than without Redis, and SIGTERM ends it', async () => {
    const db = await createDatabase();
    const channel = `kasm-db:${db.name}`;
    let forging: NodeJS.Timeout | undefined;
    const redis = await startFakeRedis((socket, said) => {
      okay(socket, said);
      if (!/subscribe/i.test(said)) return;
      socket.write(subscribed(channel));
      forging = setInterval(() => socket.write(message(channel, '{"listeners":1}')), 20);
    });
    try {
      const cli = startCli(['check', '--wait', '1h', '--json'], {
        ...db.env,
        KASM_DB_REDIS_HOST: '127.0.0.1',
        KASM_DB_REDIS_PORT: String(redis.port),
      });
      const sessions = async () =>
        Number(
          (
            await db.superQuery<{ n: string }>(
              `SELECT sessions AS n FROM pg_stat_database WHERE datname = '${db.name}'`,
            )
          )[0]?.n,
        );
      await new Promise((resolve) => setTimeout(resolve, 5000));
      const before = await sessions();
      await new Promise((resolve) => setTimeout(resolve, 8000));
      // By itself it would look two to four times; each of our own queries is a session too. Fifty rings a second are 400.
      expect((await sessions()) - before).toBeLessThan(20);
      cli.child.kill('SIGTERM');
      expect((await cli.ended).json()).toMatchObject({ outcome: 'interrupted', exitCode: 143 });
    } finally {
      clearInterval(forging);
      redis.stop();
    }
  });

  it('TLS is yes or no in the words that people write, and nothing else', async () => {
    const db = await createDatabase();
    const said = async (word: string) =>
      (
        await startCli(['doctor', '--json'], {
          ...db.env,
          KASM_DB_REDIS_HOST: '127.0.0.1',
          KASM_DB_REDIS_PORT: '1',
          KASM_DB_REDIS_TLS: word,
        }).ended
      ).json();
    for (const word of ['maybe', '2', 'tru', 'ja'])
      expect((await said(word)).checks?.find(({ name }) => /redis/i.test(name))?.text).toMatch(
        /KASM_DB_REDIS_TLS .*neither true nor false/,
      );
  });
});

afterAll(() => console.log(`hostile Redis: ${runs} runs, 0 hangs, at most ${most.toFixed(0)} MB`));
