import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { folder, startCli } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { type Peer, startFakeServer } from '../support/fake-server.js';
import { LONG, named, run, type Scenario, summary } from '../support/hostile.js';
import { watchMemory } from '../support/memory.js';
import { startProxy } from '../support/proxy.js';
import { busy } from '../support/time.js';
import * as wire from '../support/wire.js';

const { authentication, complete, copyData, copyOut, error, letIn, message, notice, parameter, ready, row } = wire;

/** A server that lets in, answers the login's own question, and the next one so. */
const afterLogin =
  (answer: (peer: Peer, sql: string) => Promise<void> | void) =>
  async (peer: Peer): Promise<void> => {
    peer.send(letIn());
    await peer.query();
    peer.send(wire.columns(['answer', 25]), row('1'), complete(), ready());
    await answer(peer, await peer.query());
    await peer.hang();
  };
/** Answers every query so. */
const always = (answer: (sql: string) => Buffer) => async (peer: Peer) => {
  peer.send(letIn());
  for (;;) peer.send(answer(await peer.query()));
};

/** What is said where an answer is waited for. */
const QUERY: Scenario[] = [
  { name: 'nothing', talk: afterLogin(() => {}), says: /did not answer/ },
  { name: 'the end', talk: afterLogin((peer) => peer.end()) },
  { name: 'a reset', talk: afterLogin((peer) => peer.reset()) },
  { name: 'half a message', talk: afterLogin((peer) => peer.send(message('D', 'xx', 400))) },
  { name: 'a message byte by byte', talk: afterLogin((peer) => peer.drip(notice(LONG), 50)) },
  { name: 'a negative length', talk: afterLogin((peer) => peer.send(message('T', 'x', -7))) },
  {
    name: 'a row of 2 GB',
    talk: afterLogin(async (peer) => {
      peer.send(wire.columns(['a', 25]), message('D', '', 0x7fffff00));
      await peer.flood(Buffer.alloc(65_536, 'x'));
    }),
  },
  {
    name: 'a row of 30 MB',
    talk: afterLogin(async (peer) => {
      peer.send(wire.columns(['a', 25]), message('D', '', 30 << 20));
      await peer.flood(Buffer.alloc(65_536, 'x'));
    }),
  },
  {
    name: 'rows without end',
    talk: afterLogin(async (peer) => {
      peer.send(wire.columns(['a', 25]));
      await peer.flood(row(LONG));
    }),
    says: /far too long/,
  },
  {
    name: 'empty rows without end',
    talk: afterLogin(async (peer) => {
      peer.send(wire.columns());
      await peer.flood(row());
    }),
  },
  {
    name: 'COPY rows without end',
    talk: afterLogin(async (peer) => {
      peer.send(copyOut());
      await peer.flood(copyData(LONG));
    }),
  },
  {
    name: 'COPY rows of a byte without end',
    talk: afterLogin(async (peer) => {
      peer.send(copyOut());
      await peer.flood(copyData('x'));
    }),
  },
  { name: 'requests for COPY rows without end', talk: afterLogin((peer) => peer.flood(message('G', '\0\0\0'))) },
  { name: 'command ends without end', talk: afterLogin((peer) => peer.flood(complete())) },
  {
    name: 'descriptions of columns without end',
    talk: afterLogin((peer) => peer.flood(wire.columns(['a', 25], ['b', 25]))),
  },
  { name: 'notices without end', talk: afterLogin((peer) => peer.flood(notice(LONG))) },
  { name: 'parameters without end', talk: afterLogin((peer) => peer.flood(parameter('TimeZone', LONG))) },
  {
    name: 'notifications without end',
    talk: afterLogin((peer) =>
      peer.flood(message('A', Buffer.concat([wire.int32(1), wire.text('c'), wire.text(LONG)]))),
    ),
  },
  { name: 'errors without end', talk: afterLogin((peer) => peer.flood(error('XX000', LONG))), code: 7 },
  { name: 'ready without end', talk: afterLogin((peer) => peer.flood(ready())) },
  { name: 'an error without terminator', talk: afterLogin((peer) => peer.send(message('E', 'SERROR\0C42P01\0Mno\0'))) },
  {
    name: 'an error of 1 MB',
    talk: always(() => Buffer.concat([error('XX000', 'long '.repeat(200_000)), ready()])),
    code: [4, 7],
    says: /…/,
  },
  { name: 'an unknown type', talk: afterLogin((peer) => peer.send(message('~'))) },
  { name: 'a login in the middle', talk: afterLogin((peer) => peer.send(authentication(3))) },
  { name: 'rows without columns', talk: afterLogin((peer) => peer.send(row('a', 'b'))) },
  {
    name: 'columns that end early',
    talk: afterLogin((peer) => peer.send(message('T', Buffer.concat([wire.int16(99), wire.text('a')])))),
  },
  {
    name: 'a row that ends early',
    talk: afterLogin((peer) =>
      peer.send(wire.columns(['a', 25]), message('D', Buffer.concat([wire.int16(1), wire.int32(99)]))),
    ),
  },
  {
    name: 'a row of 65,535 columns',
    talk: afterLogin((peer) => peer.send(message('D', Buffer.concat([wire.int16(-1), Buffer.alloc(65_535 * 4)])))),
  },
  {
    name: 'a value of negative length',
    talk: afterLogin((peer) =>
      peer.send(wire.columns(['a', 25]), message('D', Buffer.concat([wire.int16(1), wire.int32(-5)]))),
    ),
  },
  {
    name: 'descriptions of 30,000 columns without end',
    talk: afterLogin((peer) => peer.flood(wire.columns(...Array(30_000).fill(['a', 25])))),
  },
  {
    name: 'a name of a column of 20 MB',
    talk: afterLogin((peer) => peer.send(wire.columns(['x'.repeat(20 << 20), 25]))),
  },
  { name: 'tags of 1 MB without end', talk: afterLogin((peer) => peer.flood(complete('x'.repeat(1 << 20)))) },
  { name: 'an answer to a function call', talk: afterLogin((peer) => peer.send(message('V', wire.int32(-1)))) },
  { name: 'another key for cancelling', talk: afterLogin((peer) => peer.flood(wire.keyData(1))) },
  {
    name: 'a byte 0 in every text, always',
    code: [3, 4, 6],
    talk: always(() => Buffer.concat([wire.columns(['name', 25]), row('a\0b'), complete(), ready()])),
  },
  {
    name: 'a history of other types, always',
    code: [3, 4, 6],
    talk: always(() =>
      Buffer.concat([
        wire.columns(['name', 1184], ['applied_at', 1184], ['columns', 114], ['code', 3802]),
        row('infinity', '294276-12-31 23:59:59.999999+15:59', '[[[[', '\u0001{'),
        ...[complete(), ready()],
      ]),
    ),
  },
  ...['', 'NaN', '-1', '99999999999999999999.9', 'x'.repeat(100_000), '1e309', '16.0\nReady.'].map((version) => ({
    name: `that it is version ${JSON.stringify(version).slice(0, 30)}, and then nothing`,
    talk: async (peer: Peer) => {
      peer.send(letIn(version));
      await peer.query();
      peer.send(wire.columns(['answer', 25]), row('1'), complete(), ready());
      await peer.hang();
    },
  })),
  { name: 'an answer without rows, always', talk: always(() => Buffer.concat([complete('SELECT 0'), ready()])) },
  { name: 'an empty query, always', talk: always(() => Buffer.concat([message('I'), ready()])) },
  {
    name: 'a row of another question, always',
    code: [3, 4, 6],
    talk: always(() => Buffer.concat([wire.columns(['x', 23]), row('1'), complete(), ready()])),
  },
  {
    name: 'JSON that is none, always',
    talk: always(() => Buffer.concat([wire.columns(['x', 114]), row('{"'), complete(), ready()])),
  },
  {
    name: 'names of JavaScript, always',
    code: [3, 4, 6],
    talk: always(() =>
      Buffer.concat([wire.columns(['__proto__', 114], ['constructor', 25]), row('{"a":1}', 'x'), complete(), ready()]),
    ),
  },
  { name: 'a transaction that has failed, always', talk: always(() => Buffer.concat([complete('BEGIN'), ready('E')])) },
  {
    name: 'ready at once, and the answer later',
    talk: afterLogin((peer) => peer.send(ready(), wire.columns(['a', 25]), row('x'), complete())),
  },
  {
    name: 'that it is shutting down',
    talk: afterLogin((peer) => {
      peer.send(wire.told('E', { S: 'FATAL', C: '57P01', M: 'terminating' }));
      peer.end();
    }),
  },
];

describe.concurrent('a server that breaks the protocol › each state ends within its bound, with exit 4, JSON and little memory', () => {
  it.each(named(QUERY))('query › %s', (_, scenario) => run(scenario, false));
  it.each(named(QUERY.filter((_, i) => i % 4 === 0)))('query over TLS › %s', (_, scenario) => run(scenario, true));

  afterAll(() => console.log(summary()));
});

/** What an answer is when the signal comes. */
const UNFINISHED: Record<string, (peer: Peer) => Promise<void> | void> = {
  nothing: () => {},
  'half of it': (peer) => peer.send(wire.columns(['a', 25]), message('D', 'xx', 400)),
  // Slowly, so that the signal is there before they are too many.
  'notices without end': async (peer) => {
    for (; !peer.gone; await sleep(10)) peer.send(notice('x'));
  },
};

describe.concurrent('SIGTERM in a look › 143 within its time, with JSON, and the query is cancelled', () => {
  for (const command of ['check', 'status', 'migrate', 'seed', 'doctor', 'verify', 'plan'])
    for (const [what, answer] of Object.entries(UNFINISHED))
      it(`${command}: the answer is ${what}`, async () => {
        let asked = () => {};
        const reached = new Promise<void>((resolve) => {
          asked = resolve;
        });
        const server = await startFakeServer(
          afterLogin(async (peer) => {
            asked();
            await answer(peer);
          }),
        );
        try {
          const cli = startCli([command, '--json', '--connect-timeout', '1m'], {
            POSTGRES_HOST: '127.0.0.1',
            POSTGRES_PORT: String(server.port),
            POSTGRES_USER: 'kasmapp',
            PGSSLMODE: 'disable',
          });
          await reached;
          const sent = performance.now();
          cli.child.kill('SIGTERM');
          const ended = await cli.ended;
          expect([ended.code, ended.signal], ended.stderr).toEqual([143, null]);
          expect(ended.json()).toMatchObject({ outcome: 'interrupted', exitCode: 143 });
          expect(performance.now() - sent).toBeLessThan(busy(2000));
          expect(server.cancels()).toBeGreaterThan(0);
        } finally {
          server.stop();
        }
      });
});

describe('the answer to COMMIT is notices without end', () => {
  it('SIGTERM ends it within its time: what was committed is not known, and the next run finds out', async () => {
    const db = await createDatabase();
    const files = folder({ '0001_a.sql': 'CREATE TABLE a (x integer)' });
    let flooding = () => {};
    let silent: number | undefined;
    const reached = new Promise<void>((resolve) => {
      flooding = resolve;
    });
    const proxy = await startProxy(db.port, {
      onMessage: async ({ direction, type, text, connection }, { client, forward }) => {
        if (connection === silent) return 'drop';
        if (direction === 'to client' || type !== 'Q' || !/INSERT INTO kasm_db\.migrations[\s\S]*COMMIT/.test(text()))
          return 'pass';
        // Nothing of the server itself comes through any more.
        silent = connection;
        forward();
        const piece = Buffer.concat(Array(60).fill(notice(LONG)));
        const more = () => {
          while (client.writable && client.write(piece));
          if (client.writable) client.once('drain', more);
        };
        more();
        flooding();
        return 'drop';
      },
    });
    const cli = startCli(['migrate', '--json', '--migrations', files], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    const megabytes = watchMemory(cli.child);
    await reached;
    await sleep(1000);
    const sent = performance.now();
    cli.child.kill('SIGTERM');
    const ended = await cli.ended;
    const ms = performance.now() - sent;
    proxy.stop();
    expect(ended.json()).toMatchObject({ exitCode: 143, error: { message: expect.stringMatching(/not known/) } });
    expect(ms).toBeLessThan(busy(2000));
    expect(megabytes()).toBeLessThan(200);
    expect((await startCli(['migrate', '--json', '--migrations', files], db.env).ended).json()).toMatchObject({
      exitCode: 0,
    });
    expect(await db.query('SELECT name FROM kasm_db.migrations')).toEqual([{ name: '0001_a' }]);
  });
});
