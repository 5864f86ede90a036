import { afterEach, describe, expect, it } from 'vitest';
import { historyOf } from '../fixtures/kasm/catalog.js';
import { midStatement } from '../fixtures/kasm/observe.js';
import { cli, folder, NODE_COMMAND, type RunningCli, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { type Link, type Passed, startProxy, type TestProxy } from '../support/proxy.js';
import { busy } from '../support/time.js';

const NAMES = ['0001_one', '0002_two', '0003_three'];
const FILES = {
  '0001_one.sql': "CREATE TABLE effects (name text);\nINSERT INTO effects VALUES ('0001');\n",
  '0002_two.sql': "INSERT INTO effects VALUES ('0002');\n",
  '0003_three.sql': "INSERT INTO effects VALUES ('0003');\n",
};
const SLOW = { ...FILES, '0002_two.sql': `${FILES['0002_two.sql']}SELECT pg_sleep(30);\n` };

/** What stands between kasm-db and the server, from left to right. */
const WAYS = {
  'a direct connection': ['proxy'],
  'a connection to PgBouncer': ['proxy', 'pooler'],
  'the connection behind PgBouncer': ['pooler', 'proxy'],
} as const;
type Way = keyof typeof WAYS;

const ENDS = {
  FIN: ({ client, server }: Link) => {
    client.end();
    server.destroy();
  },
  RST: ({ client, server }: Link) => {
    client.resetAndDestroy();
    server.destroy();
  },
  silence: () => {},
};
type End = keyof typeof ENDS;

const fromClient = (message: Passed) => message.direction === 'to server';
/** The message that commits a migration: its history row goes with it. */
const commits = (name: string, message: Passed) =>
  fromClient(message) &&
  new RegExp(`INSERT INTO kasm_db\\.migrations [^;]*VALUES \\('${name}'.*; COMMIT`, 's').test(message.text());
const isCommit = (message: Passed) => commits('0002_two', message);

const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

interface Scene {
  db: TestDatabase;
  run: RunningCli;
  proxy: TestProxy;
  /** The first of the messages that were picked has been disturbed. */
  disturbed: Promise<void>;
}

/** Starts `migrate` on its way to a new database, with somebody who disturbs each message that is picked. */
async function scene(
  way: Way,
  files: Record<string, string>,
  picked: (message: Passed) => boolean,
  disturb: (link: Link, scene: Pick<Scene, 'db' | 'proxy'>) => void | Promise<void>,
): Promise<Scene> {
  const db = await createDatabase();
  let port = db.port;
  let armed = false;
  let proxy: TestProxy | undefined;
  let told = { resolve: () => {}, reject: (_error: unknown) => {} };
  const disturbed = new Promise<void>((resolve, reject) => {
    told = { resolve, reject };
  });
  disturbed.catch(() => {});
  for (const part of [...WAYS[way]].reverse()) {
    if (part === 'proxy') {
      const onMessage = async (message: Passed, link: Link, self: TestProxy) => {
        if (!armed || !picked(message)) return 'pass';
        try {
          await disturb(link, { db, proxy: self });
          told.resolve();
        } catch (error) {
          told.reject(error);
        }
        return 'drop';
      };
      proxy = await startProxy(port, { onMessage });
      port = proxy.port;
      open.push(proxy);
    } else {
      const pooler = await startPgbouncer({ ...db, port }, 'transaction', ['server_login_retry = 1']);
      port = pooler.port;
      open.push(pooler);
      // Its own start has logged in already; the run's login is what is to be disturbed.
      proxy?.reset();
    }
  }
  armed = true;
  const run = startCli(['migrate', '--json', '--connect-timeout', '3s', '--migrations', folder(files)], {
    ...db.env,
    POSTGRES_PORT: String(port),
    PGSSLMODE: 'disable',
  });
  return { db, run, proxy: proxy as TestProxy, disturbed };
}

/** One JSON object whatever happened, and 0 only with everything applied. */
async function ended({ db, run }: Scene, code: number) {
  const done = await run.ended;
  expect(done.stdout.trim().split('\n'), `exit ${done.code}: ${done.stderr}`).toHaveLength(1);
  const result = done.json();
  expect(result.exitCode).toBe(done.code);
  expect(done.code, done.stderr).toBe(code);
  if (code === 0) expect((await historyOf(db)).map(({ name }) => name)).toEqual(NAMES);
  return result;
}

/** Whatever became of the first run, the next one completes it, and nothing was done twice. */
async function nextRunCompletes({ db, proxy }: Scene): Promise<void> {
  // Where nothing passes any more, the server's keepalives give the connection up.
  proxy.swallow(false);
  proxy.reset();
  const next = await cli(['migrate', '--json', '--migrations', folder(FILES)], db.env);
  expect(next.code, next.stderr).toBe(0);
  expect((await historyOf(db)).map(({ name }) => name)).toEqual(NAMES);
  expect(await db.query('SELECT name FROM effects ORDER BY name')).toEqual(
    NAMES.map((name) => ({ name: name.slice(0, 4) })),
  );
}

const recorded = async (db: TestDatabase, name: string) =>
  (await historyOf(db)).filter((row) => row.name === name).map((row) => row.name);

const ways = (Object.keys(WAYS) as Way[]).filter((way) => way === 'a direct connection' || hasPgbouncer());

/** Node's part of what keeps an event loop going is taken away: a socket, and whoever waits for it with an end. */
const WITHOUT_EVENTS = `import net from 'node:net';
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) { return connect.apply(this, args).unref(); };
const later = globalThis.setTimeout;
globalThis.setTimeout = (...args) => later(...args).unref();`;

it('trap 51: an event loop that runs empty before the result › 1 with its JSON, and the next run completes', async () => {
  const db = await createDatabase();
  const args = ['migrate', '--json', '--migrations', folder(FILES)];
  const command = [
    process.execPath,
    '--import',
    `data:text/javascript,${encodeURIComponent(WITHOUT_EVENTS)}`,
    NODE_COMMAND[1] as string,
  ];
  const run = await startCli(args, db.env, { command }).ended;
  expect(run.code, run.stderr).toBe(1);
  expect(run.json()).toMatchObject({ command: 'migrate', outcome: 'internal', exitCode: 1 });
  expect(run.json().error?.message).toContain('the event loop ran empty');
  const next = await cli(args, db.env);
  expect(next.code, next.stderr).toBe(0);
});

describe.each(ways)('trap 51: every end of %s', (way) => {
  describe.each(Object.keys(ENDS) as End[])('by %s', (end) => {
    const cut = (link: Link, { proxy }: Pick<Scene, 'proxy'>) => {
      if (end === 'silence') proxy.swallow(true);
      else ENDS[end](link);
    };
    /** A silent server may be at work: only a signal ends the run then. */
    const expected = end === 'silence' ? 143 : 4;
    const interruptIfSilent = ({ run }: Scene) => {
      if (end === 'silence') run.child.kill('SIGTERM');
      return performance.now();
    };

    it('in each login › 4 within --connect-timeout', async () => {
      const it = await scene(way, FILES, (message) => message.type === 'p' && fromClient(message), cut);
      const result = await ended(it, 4);
      expect(result.durationMs).toBeLessThan(busy(15_000));
      await nextRunCompletes(it);
    });

    it(`in a statement › ${expected}, and nothing of it is kept`, async () => {
      const it = await scene(
        way,
        SLOW,
        (message) => fromClient(message) && message.text().includes('pg_sleep(30)'),
        async (link, here) => {
          link.forward();
          await midStatement(here.db, 'pg_sleep(30)');
          cut(link, here);
        },
      );
      await it.disturbed;
      const sent = interruptIfSilent(it);
      const result = await ended(it, expected);
      expect(performance.now() - sent).toBeLessThan(busy(5000));
      expect(result.applied?.map(({ name }) => name)).toEqual(['0001_one']);
      await nextRunCompletes(it);
    });

    it(`in COMMIT, which reaches the server › ${expected}, and it is said not to be known`, async () => {
      const it = await scene(way, FILES, isCommit, async (link, here) => {
        link.forward();
        // Its answer comes to nobody.
        here.proxy.swallow(true);
        await waitFor(() => recorded(here.db, '0002_two'), 'the commit');
        cut(link, here);
      });
      await it.disturbed;
      const sent = interruptIfSilent(it);
      const result = await ended(it, expected);
      expect(performance.now() - sent).toBeLessThan(busy(5000));
      expect(result.error?.message).toMatch(/not known/);
      expect(result.error?.message).not.toMatch(/nothing of it was kept|was rolled back/);
      expect(result.error?.migration).toBe('0002_two');
      await nextRunCompletes(it);
    });

    it(`in COMMIT, which does not reach the server › ${expected}, and it is said not to be known`, async () => {
      const it = await scene(way, FILES, isCommit, (link, here) => {
        cut(link, here);
      });
      await it.disturbed;
      const sent = interruptIfSilent(it);
      const result = await ended(it, expected);
      expect(performance.now() - sent).toBeLessThan(busy(5000));
      expect(result.error?.message).toMatch(/not known/);
      expect(result.error?.migration).toBe('0002_two');
      await nextRunCompletes(it);
    });

    // PgBouncer keeps the connection behind it when its client goes.
    it.skipIf(way === 'the connection behind PgBouncer')(
      'at its goodbye › 0, everything is done, and the result says so',
      async () => {
        // On a busy machine who is in the way is looked up too, by a connection of its own.
        let worker: number | undefined;
        const isLast = (message: Passed) => {
          if (commits('0003_three', message)) worker ??= message.connection;
          return message.connection === worker && message.type === 'X' && fromClient(message);
        };
        const it = await scene(way, FILES, isLast, cut);
        const result = await ended(it, 0);
        expect(result.durationMs).toBeLessThan(busy(15_000));
        expect(result.applied?.map(({ name }) => name)).toEqual(NAMES);
        await nextRunCompletes(it);
      },
    );
  });
});
