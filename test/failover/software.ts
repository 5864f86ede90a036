import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'];
const DEBIAN = '/usr/lib/postgresql';

/** Paths of the programs that a cluster is made of. */
export interface Software {
  patroni: string;
  etcd: string;
  haproxy: string;
  /** Folder of PostgreSQL's own programs, pg_basebackup and pg_rewind among them (the npm packages have neither). */
  postgres: string;
}

/** HAProxy's path; undefined, and said so, where it is not installed. */
export function findHaproxy(): string | undefined {
  const haproxy = find('haproxy');
  if (!haproxy)
    console.warn("SKIPPED: haproxy is not installed (Debian: haproxy), so no standby stood behind one's name");
  return haproxy;
}

/** @returns undefined where something is not installed; it says what, so that nobody takes a skipped suite for one that passed */
export function findSoftware(): Software | undefined {
  const patroni = find('patroni');
  const etcd = find('etcd');
  const haproxy = find('haproxy');
  const postgres = newestPostgres();
  if (patroni && etcd && haproxy && postgres && works(patroni, etcd, haproxy))
    return { patroni, etcd, haproxy, postgres };
  const missing = Object.entries({ patroni, 'etcd-server': etcd, haproxy, postgresql: postgres })
    .filter(([, path]) => path === undefined)
    .map(([name]) => name);
  console.warn(
    `SKIPPED: no failover was tried, since this is not installed (Debian's packages): ${missing.join(', ')}`,
  );
  return undefined;
}

function find(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function newestPostgres(): string | undefined {
  if (!existsSync(DEBIAN)) return undefined;
  return readdirSync(DEBIAN)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(DEBIAN, version, 'bin'))
    .find((bin) => ['postgres', 'pg_basebackup', 'pg_rewind'].every((name) => existsSync(join(bin, name))));
}

function works(patroni: string, etcd: string, haproxy: string): boolean {
  try {
    for (const [program, arg] of [
      [patroni, '--version'],
      [etcd, '--version'],
      [haproxy, '-v'],
    ] as const)
      execFileSync(program, [arg], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
