import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { serverAccount } from '../../src/embedded/binaries.js';
import { waitFor } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { freePort } from '../support/server.js';
import { childrenOf, type Daemon, signal, startDaemon } from './process.js';
import type { Software } from './software.js';

/** Seconds until a leader that is not heard of is given up; Patroni's default of 30 would make each round a minute long. */
const TTL = 6;
/** A loaded machine may take this long for an election and for the old primary to join again, in milliseconds. */
const HEAL_MS = 90_000;

/** One PostgreSQL with the Patroni that looks after it. */
export interface Member {
  name: string;
  port: number;
  /** Port of Patroni's REST interface, where HAProxy asks who is the primary. */
  rest: number;
  /** All its processes at once, as when the machine loses its power; start() brings it back. */
  kill(): Promise<void>;
  start(): void;
  /** All its processes stand still, with their connections open; thaw() lets them go on. */
  freeze(): void;
  thaw(): void;
}

export interface PatroniCluster {
  members: Member[];
  /** Who Patroni says is the leader, once there is one. @param other than this one */
  leader(other?: Member): Promise<Member>;
  /** Waits until there is a leader that takes writes, and all others follow it. */
  healthy(): Promise<Member>;
  /** Patroni's planned change of the primary. Returns when it is done. */
  switchover(): Promise<void>;
  /** With it, whoever is promoted has every commit that was acknowledged; without it (Patroni's default) the last ones may be lost. */
  setSynchronous(on: boolean): Promise<void>;
  /** As superuser, on a connection of its own. */
  query<R extends pg.QueryResultRow>(member: Member, database: string, sql: string, values?: unknown[]): Promise<R[]>;
  stop(): Promise<void>;
}

/** Starts etcd and servers under Patroni, everything on loopback. @param scratch a folder that the servers' account may enter */
export async function startPatroni(software: Software, scratch: string, count: number): Promise<PatroniCluster> {
  const password = `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
  const folder = ownFolder(join(scratch, 'patroni'));
  const [client, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const etcd = startDaemon(
    software.etcd,
    [
      ...['--name', 'etcd', '--data-dir', join(folder, 'etcd')],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `etcd=${peerUrl}`],
    ],
    join(folder, 'etcd.log'),
  );
  await waitFor(async () => ((await get(`${url}/health`)) ? [1] : []), 'etcd');

  const members: (Member & { stop(): Promise<void> })[] = [];
  for (let i = 0; i < count; i++) {
    const member = await makeMember(software, folder, String.fromCharCode(97 + i), `127.0.0.1:${client}`, password);
    members.push(member);
    member.start();
  }

  const query = async <R extends pg.QueryResultRow>(
    member: Member,
    database: string,
    sql: string,
    values: unknown[] = [],
  ) => {
    const connection = new pg.Client({
      ...{ host: '127.0.0.1', port: member.port, database, user: 'postgres', password, ssl: false },
      connectionTimeoutMillis: 2000,
      query_timeout: 10_000,
    });
    connection.on('error', () => {});
    await connection.connect();
    try {
      return (await connection.query<R>(sql, values)).rows;
    } finally {
      await connection.end();
    }
  };
  const leader = async (other?: Member) => {
    let found: Member | undefined;
    await waitFor(
      async () => {
        for (const member of members.filter((one) => one !== other)) {
          if (await get(`http://127.0.0.1:${member.rest}/primary`)) found = member;
        }
        return found ? [1] : [];
      },
      'a leader',
      HEAL_MS,
    );
    return found as Member;
  };
  let synchronous = false;
  const healthy = async () => {
    let found: Member | undefined;
    await waitFor(
      async () => {
        found = await leader();
        const followers = await query<{ sync_state: string }>(
          found,
          'postgres',
          `SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming' AND NOT pg_is_in_recovery()
             AND replay_lsn >= pg_current_wal_flush_lsn()`,
        ).catch(() => []);
        const whole = followers.length === count - 1;
        return whole && followers.some(({ sync_state }) => sync_state === 'sync') === synchronous ? [1] : [];
      },
      'all members to follow the leader',
      HEAL_MS,
    );
    return found as Member;
  };
  return {
    members,
    leader,
    healthy,
    query,
    switchover: async () => {
      const old = await leader();
      // Refused while Patroni does not yet know how far the other one has come.
      const asked = () =>
        ask(old, 'POST', '/switchover', { leader: old.name }).then(
          () => [1],
          () => [],
        );
      await waitFor(asked, 'Patroni to take the switchover', HEAL_MS);
      await leader(old);
    },
    setSynchronous: async (on) => {
      await ask(await leader(), 'PATCH', '/config', { synchronous_mode: on });
      synchronous = on;
      await healthy();
    },
    stop: async () => {
      for (const member of members) await member.stop();
      await etcd.stop();
    },
  };
}

async function makeMember(software: Software, folder: string, name: string, etcd: string, password: string) {
  const [port, rest] = [await freePort(), await freePort()];
  const own = ownFolder(join(folder, name));
  const data = join(own, 'data');
  const config = join(own, 'patroni.json');
  const settings = {
    scope: 'kasm',
    name,
    etcd3: { host: etcd },
    restapi: { listen: `127.0.0.1:${rest}`, connect_address: `127.0.0.1:${rest}` },
    bootstrap: {
      dcs: {
        ttl: TTL,
        loop_wait: 1,
        retry_timeout: 2,
        postgresql: {
          use_pg_rewind: true,
          parameters: { wal_log_hints: 'on', max_connections: 60, fsync: 'off', full_page_writes: 'on' },
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'no-sync'],
      pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
    },
    postgresql: {
      listen: `127.0.0.1:${port}`,
      connect_address: `127.0.0.1:${port}`,
      data_dir: data,
      bin_dir: software.postgres,
      pgpass: join(own, 'pgpass'),
      parameters: { unix_socket_directories: own },
      authentication: {
        superuser: { username: 'postgres', password },
        replication: { username: 'replicator', password },
      },
    },
  };
  // JSON is YAML, which is what Patroni reads.
  writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
  giveAway(config);
  let patroni: Daemon | undefined;
  let frozen: number[] = [];
  /** First whoever starts processes, so that none is missed. */
  const standStill = () => {
    const postmaster = postmasterOf(data);
    const parents = [patroni?.pid, postmaster].filter((pid) => pid !== undefined);
    signal(parents, 'SIGSTOP');
    const children = postmaster === undefined ? [] : childrenOf(postmaster);
    signal(children, 'SIGSTOP');
    return [...parents, ...children];
  };
  const thaw = () => {
    signal(frozen.reverse(), 'SIGCONT');
    frozen = [];
  };
  return {
    name,
    port,
    rest,
    start: () => {
      patroni = startDaemon(software.patroni, [config], join(own, 'patroni.log'));
    },
    kill: async () => {
      // Standing still, none of them sees another one die and says so to its client.
      signal(standStill(), 'SIGKILL');
      await patroni?.stop('SIGKILL');
    },
    freeze: () => {
      frozen = standStill();
    },
    thaw,
    stop: async () => {
      thaw();
      // It shuts its PostgreSQL down.
      await patroni?.stop();
      const left = postmasterOf(data);
      if (left !== undefined) signal([left, ...childrenOf(left)], 'SIGKILL');
    },
  };
}

function postmasterOf(data: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    // The file of one that was killed stays, and its number may be somebody else's by now.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function ownFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o700);
  giveAway(path);
  return path;
}

function giveAway(path: string): void {
  const account = serverAccount();
  if (account) chownSync(path, account.uid, account.gid);
}

/** Asks Patroni for something, which takes until it is done. */
async function ask({ rest }: Member, method: 'POST' | 'PATCH', path: string, body: object): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${rest}${path}`, { method, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`Patroni: ${method} ${path}: ${answer.status} ${await answer.text()}`);
}

async function get(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}
