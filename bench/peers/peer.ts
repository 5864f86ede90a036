import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support.js';

/** One migration, as plain SQL. */
export interface Step {
  /** Letters, digits and underscores. */
  name: string;
  sql: string;
}

export interface Login {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

export interface Command {
  command: string[];
  env?: Record<string, string>;
  cwd?: string;
}

export type Family = 'kasm-db' | 'psql' | 'Node' | 'Go' | 'Rust' | 'JVM' | 'Python';

/** A migrator: how to write its files, how to call it. */
export interface Peer {
  name: string;
  version: string;
  family: Family;
  installed: boolean;
  write(folder: string, steps: Step[]): void;
  up(folder: string, login: Login): Command;
  /** Its way to ask whether something is pending; without one, `up` with nothing to do. */
  check?(folder: string, login: Login): Command;
  /** Files and folders that make up its installation, without the runtime. */
  files(): string[];
}

/** Where peers/install.sh puts what it installs, and the runner its raw results. */
export const CACHE =
  process.env.KASM_DB_BENCH_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kasm-db-bench');

/** @returns the version that install.sh has put there; '' when it has not */
export function cachedVersion(name: string): string {
  const mark = join(CACHE, `${name}.version`);
  return existsSync(mark) ? readFileSync(mark, 'utf8').trim().replace(/^v/, '') : '';
}

/** A file of bench/peers. */
export const peerFile = (name: string) => join(ROOT, 'bench/peers', name);

export function url({ host, port, user, password, database }: Login, query = ''): string {
  return `postgres://${user}:${password}@${host}:${port}/${database}${query}`;
}

export function numbered(i: number, digits: number): string {
  return String(i + 1).padStart(digits, '0');
}
