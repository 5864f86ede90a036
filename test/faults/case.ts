import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { migrate } from '../../src/index.js';
import { type CatalogRow, fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import { type CliRun, startCli } from '../support/cli.js';
import type { TestDatabase } from '../support/database.js';
import type { ServerInfo } from '../support/global-setup.js';
import { type Link, type Passed, startProxy, type TestProxy } from '../support/proxy.js';
import { ROLE } from './run.js';

export const FAULTS = [
  'cut by client',
  'cut by server',
  'black hole',
  'SIGKILL',
  'SIGTERM',
  'half-close',
  'delay',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Where the run goes: a server, and a port that leads to it (its own, or a pooler's). */
export interface Way {
  name: string;
  server: ServerInfo;
  port: number;
  /** Folder of migrations. */
  files: string;
}

export interface State {
  fingerprint: string;
  history: unknown;
  effects: unknown;
}

export interface Outcome {
  /** What went wrong; undefined: the rerun reached the undisturbed state. */
  wrong?: string | undefined;
  /** The rerun stopped with exit 6 and named `repair`. */
  manual: boolean;
}

/** An established connection that goes silent is reset after this, in milliseconds, as TCP keepalive does it after minutes. */
const SILENCE_MS = 300;
const HUNG_MS = 120_000;

const admins = new Map<number, pg.Pool>();

function connect(server: ServerInfo, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: server.password,
    database,
    ssl: false,
  });
  client.on('error', () => {});
  return client.connect().then(() => client);
}

/** The superuser of a server, for several cases at once. */
export function admin({ port, password }: ServerInfo): pg.Pool {
  const known =
    admins.get(port) ??
    new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres', ssl: false, max: 4 });
  admins.set(port, known);
  return known;
}

export async function endAdmins(): Promise<void> {
  for (const pool of admins.values()) await pool.end();
  admins.clear();
}

let databases = 0;

/** Runs `work` on a new, empty database of the role that all cases share. */
async function withDatabase<T>(way: Way, work: (name: string) => Promise<T>): Promise<T> {
  const name = `fault_${process.pid}_${databases++}`;
  const control = admin(way.server);
  await control.query(`CREATE DATABASE ${name} OWNER ${ROLE.user}`);
  try {
    return await work(name);
  } finally {
    await control.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).catch(() => {});
  }
}

const env = (port: number, database: string) => ({
  POSTGRES_HOST: '127.0.0.1',
  POSTGRES_PORT: String(port),
  POSTGRES_DB: database,
  POSTGRES_USER: ROLE.user,
  POSTGRES_PASSWORD: ROLE.password,
  PGSSLMODE: 'disable',
});

/** Reads what an undisturbed run leaves in the same way each time. */
async function stateOf(way: Way, database: string): Promise<State> {
  const client = await connect(way.server, database);
  try {
    const superQuery = async (sql: string, values?: unknown[]) =>
      (await client.query(sql, values)).rows as CatalogRow[];
    const db = { superQuery } as unknown as TestDatabase;
    return {
      fingerprint: await fingerprint(db),
      history: await historyOf(db),
      effects: await superQuery('SELECT name, count(*)::int AS n FROM public.effects GROUP BY name ORDER BY name'),
    };
  } finally {
    await client.end();
  }
}

/** A run through a proxy; the proxy is told to disturb at message `at`. */
async function start(
  way: Way,
  database: string,
  connectTimeout: string,
  at = -1,
  disturb?: (link: Link, proxy: TestProxy, kill: (signal: NodeJS.Signals) => void) => void | Promise<void>,
): Promise<{ run: CliRun; proxy: TestProxy }> {
  let kill = (_signal: NodeJS.Signals) => {};
  const proxy = await startProxy(way.port, {
    onMessage: async ({ index }, link, self) => {
      if (index !== at) return 'pass';
      await disturb?.(link, self, kill);
      return 'drop';
    },
  });
  const cli = startCli(
    ['migrate', '--json', '--migrations', way.files, '--connect-timeout', connectTimeout, '--lock-timeout', '20s'],
    env(proxy.port, database),
  );
  kill = (signal) => cli.child.kill(signal);
  const hung = setTimeout(() => {
    console.log(`hung for ${HUNG_MS} ms:\n${threads(cli.child.pid)}`);
    cli.child.kill('SIGKILL');
  }, HUNG_MS);
  const run = await cli.ended;
  clearTimeout(hung);
  proxy.stop();
  return { run, proxy };
}

/** What each thread of a process waits for, where Linux tells. */
function threads(pid: number | undefined): string {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((tid) =>
        ['comm', 'wchan', 'syscall']
          .map((file) => readFileSync(`/proc/${pid}/task/${tid}/${file}`, 'utf8').trim())
          .join(' '),
      )
      .join('\n');
  } catch (error) {
    return String(error);
  }
}

/** The run that nobody disturbs: its messages and the state it leaves. */
export function undisturbed(way: Way): Promise<{ passed: TestProxy['passed']; state: State }> {
  return withDatabase(way, async (database) => {
    const { run, proxy } = await start(way, database, '20s');
    if (run.code !== 0) throw new Error(`${way.name}: the undisturbed run ended with ${run.code}: ${run.stderr}`);
    return { passed: proxy.passed, state: await stateOf(way, database) };
  });
}

/** Disturbs a run at message `at`, runs again, and compares. @param chance a number of [0, 1) that picks among a fault's kinds */
export function faultCase(way: Way, at: number, fault: Fault, chance: number, expected: State): Promise<Outcome> {
  return withDatabase(way, async (database) => {
    const { run } = await start(way, database, fault === 'black hole' ? '2s' : '20s', at, DISTURB[fault](chance));
    const broken = brokenReport(run, fault);
    if (broken) return { wrong: broken, manual: false };
    // The second run goes straight to where the first one should have: no proxy, no fault.
    const again = await migrate({
      env: env(way.port, database),
      migrations: way.files,
      lockTimeout: '2m',
      connectTimeout: '20s',
    });
    const manual = again.outcome === 'integrity' && again.error?.hint?.includes('kasm-db repair') === true;
    if (manual) return { manual };
    if (again.outcome !== 'ok') return { wrong: `the rerun ended with ${JSON.stringify(again.error)}`, manual };
    const state = await stateOf(way, database);
    for (const key of ['fingerprint', 'history', 'effects'] as const) {
      const [found, wanted] = [JSON.stringify(state[key]), JSON.stringify(expected[key])];
      if (found !== wanted) return { wrong: `another ${key}: ${found} instead of ${wanted}`, manual };
    }
    return { manual };
  });
}

/** A run that was disturbed still ends in time and says so properly; done is fine where it had nothing more to hear. */
function brokenReport(run: CliRun, fault: Fault): string | undefined {
  if (fault === 'SIGKILL') return undefined;
  const allowed = fault === 'delay' ? [0] : fault === 'SIGTERM' || fault === 'black hole' ? [0, 4, 143] : [0, 4];
  if (!allowed.includes(run.code ?? -1))
    return `exit ${run.code ?? run.signal} after ${fault}: ${run.stderr.slice(0, 1500)}`;
  if (/^\s+at .*:\d+:\d+/m.test(run.stderr)) return `a stack on stderr: ${run.stderr.slice(0, 1500)}`;
  try {
    run.json();
  } catch (error) {
    return `stdout is not the result: ${error}`;
  }
  return undefined;
}

type Disturb = (link: Link, proxy: TestProxy, kill: (signal: NodeJS.Signals) => void) => void | Promise<void>;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Each fault in its kinds: with RST or FIN, before or after the message was passed on. */
const DISTURB: Record<Fault, (chance: number) => Disturb> = {
  // The server got the message, and then its client was gone.
  'cut by client': (chance) => (link) => {
    link.forward();
    if (chance < 0.5) link.server.end();
    else setTimeout(() => link.server.resetAndDestroy(), 5);
    link.client.resetAndDestroy();
  },
  // Nobody got the message.
  'cut by server': (chance) => (link) => {
    if (chance < 0.5) link.client.end();
    else link.client.resetAndDestroy();
    link.server.destroy();
  },
  'black hole': (chance) => (link, proxy, kill) => {
    if (chance < 0.5) link.forward();
    proxy.swallow(true);
    // While one connection logs in, such as the one that looks who is in the way, another may be at work.
    const login = ({ type, direction }: Passed) => type === 'Z' && direction === 'to client';
    const ended = proxy.passed.filter(({ type, direction }) => type === 'X' && direction === 'to server');
    const established = proxy.passed.some(
      (message) => login(message) && !ended.some(({ connection }) => connection === message.connection),
    );
    // Before the end of the login --connect-timeout ends it; after it the Job's SIGTERM does, or TCP keepalive.
    if (!established) return;
    setTimeout(() => {
      if (chance % 0.5 < 0.25) return kill('SIGTERM');
      proxy.swallow(false);
      proxy.reset();
    }, SILENCE_MS);
  },
  SIGKILL: (chance) => async (link, _proxy, kill) => {
    if (chance < 0.5) link.forward();
    kill('SIGKILL');
    // What it had sent may be on its way while it dies.
    await pause(chance < 0.5 ? 0 : 20);
    if (chance >= 0.75) link.forward();
  },
  SIGTERM: (chance) => async (link, _proxy, kill) => {
    if (chance < 0.5) link.forward();
    kill('SIGTERM');
    await pause(chance < 0.5 ? 0 : 20);
    if (chance >= 0.5) link.forward();
  },
  'half-close': (chance) => (link) => {
    if (chance < 0.5) link.client.end();
    else link.server.end();
    link.forward();
  },
  delay: (chance) => async (link) => {
    await pause(chance * 300);
    link.forward();
  },
};
