import { headers } from 'kasm-db:migrations';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import { checksum, normalize } from './checksum.js';
import { type MigrationHeader, parseMigration } from './directives.js';
import { withoutRestrict } from './refused.js';

export type { MigrationHeader } from './directives.js';

/** A migration and the way to its SQL. */
export interface Migration extends MigrationHeader {
  /** The path as a user would open it. */
  path: string;
  sql(): Promise<string>;
  downSql(): Promise<string | undefined>;
  /** Of its down script, as a user would open it. */
  downPath: string;
}

/**
 * The down migration of a migration, as a file that can be run.
 * @throws KasmDbError usage when a directive in it is wrong
 */
export async function downMigration(migration: Migration): Promise<Migration | undefined> {
  const sql = await migration.downSql();
  if (sql === undefined) return undefined;
  const header = parseMigration(migration.name, migration.downPath, sql, false);
  return { ...migration, ...header, hasDown: true, path: migration.downPath, sql: async () => sql };
}

/** A migration that is no file yet. */
export function readableMigration(name: string, { up, down }: { up: string; down: string }): Migration {
  const path = `${name}${UP}`;
  return {
    ...parseMigration(name, path, up, true),
    path,
    downPath: `${name}${DOWN}`,
    sql: async () => up,
    downSql: async () => down,
  };
}

const FILE_NAME = /^\d{4}_[A-Za-z0-9][A-Za-z0-9_-]*(?:\.down)?\.sql$/;
const DOWN = '.down.sql';
const UP = '.sql';

/** Does one of them write alembic_version, so that it is worth looking at? */
export function writesVendorVersion(migrations: readonly MigrationHeader[]): boolean {
  return vendorVersionOf(migrations) !== undefined;
}

/** The alembic_version that these migrations leave, the release of Kasm that a database then is. @returns undefined: they write none */
export function vendorVersionOf(migrations: readonly MigrationHeader[]): string | undefined {
  return migrations.findLast(({ vendorVersion }) => vendorVersion !== undefined)?.vendorVersion;
}

/** The migrations that ship with this build. Their SQL is only evaluated when it is asked for. */
export async function shippedMigrations(): Promise<Migration[]> {
  return headers.map((header) => ({
    ...header,
    path: `migrations/${header.name}.sql`,
    downPath: `migrations/${header.name}.down.sql`,
    sql: async () => (await import('kasm-db:migration-sql')).up[header.name] as string,
    downSql: async () => (await import('kasm-db:migration-sql')).down[header.name],
  }));
}

/**
 * Reads and checks every migration of a folder, in the order of their names.
 * @throws KasmDbError usage, naming the file and line
 */
export function readMigrations(folder: string): Migration[] {
  const names: string[] = [];
  const downs = new Set<string>();
  for (const file of listFolder(folder)) {
    if (file.endsWith(DOWN)) downs.add(file.slice(0, -DOWN.length));
    else names.push(file.slice(0, -UP.length));
  }
  if (names.length === 0) {
    throw new KasmDbError('usage', `${folder} holds no migration`, {
      hint: 'name a folder with files NNNN_name.sql, or leave --migrations out to use the ones that ship with kasm-db; a copy of them to go on from: kasm-db new NAME --copy-shipped',
    });
  }
  names.sort();
  // What join() does to the folder's own name is the same for each of thousands of files.
  const start = join(folder, '_').slice(0, -1);
  refuseWithoutUp(start, downs, names);
  let kept = 0;
  const keeps = (text: string) => {
    kept += text.length;
    return kept <= KEPT_CHARACTERS;
  };
  const migrations = names.map((name) => readMigration(start, name, downs.has(name), keeps));
  refuseSameNumber(migrations);
  return migrations;
}

/** Of a folder's texts; what is beyond is read again when it is needed, so that no folder fills the memory. */
const KEPT_CHARACTERS = 64 << 20;

const noSql = async () => undefined;

/** @param start of its paths @param keeps may this text be kept in memory? */
function readMigration(start: string, name: string, hasDown: boolean, keeps: (text: string) => boolean): Migration {
  const path = `${start}${name}${UP}`;
  const downPath = `${start}${name}${DOWN}`;
  const text = readSql(path);
  const header = parseMigration(name, path, text, hasDown);
  const kept = keeps(text) ? text : undefined;
  return {
    ...header,
    path,
    downPath,
    sql: async () => withoutRestrict(kept ?? readUnchanged(path, header)),
    downSql: hasDown ? async () => withoutRestrict(readSql(downPath)) : noSql,
  };
}

/** What is run and recorded is what was planned. @throws KasmDbError usage */
function readUnchanged(path: string, { checksum: planned }: MigrationHeader): string {
  const text = readSql(path);
  if (checksum(text) === planned) return text;
  throw wrong(
    path,
    ' was changed while kasm-db was at work',
    'run the same command again once nobody writes there any more',
  );
}

/**
 * Reads a file of SQL.
 * @throws KasmDbError usage when it is unreadable, empty, no UTF-8 or holds a NUL
 */
export function readSql(path: string): string {
  collectUnused();
  let bytes: Buffer;
  try {
    bytes = readFile(path, 'migration').bytes;
  } catch (error) {
    throw new KasmDbError('usage', `cannot read ${path} (${messageOf(error)})`, {
      file: path,
      hint: 'give the account that runs kasm-db the right to read it',
    });
  }
  read += bytes.length;
  const nul = bytes.indexOf(0);
  if (nul >= 0 && isUtf16(bytes))
    throw wrong(path, ' is UTF-16; SQL files are UTF-8', `convert it: iconv -f UTF-16 -t UTF-8 ${path}`);
  if (nul >= 0)
    throw wrong(
      path,
      ' holds a NUL byte; it is not text',
      'take the byte out; a value with one goes into a bytea column, written as hex',
      lineOf(bytes, nul),
    );
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw wrong(path, ' is not UTF-8', `convert it, for example: iconv -f WINDOWS-1252 -t UTF-8 ${path}`);
  }
  if (text.trim() === '') throw wrong(path, ' is empty', 'write its SQL, or delete the file');
  return normalize(text);
}

/** The executable's engine lets large texts that nobody uses any more lie for long: 12 files of 90 MB took 1.2 GB. */
function collectUnused(): void {
  if (read < COLLECTED_BYTES) return;
  read = 0;
  (globalThis as { Bun?: { gc(sync: boolean): void } }).Bun?.gc(true);
}

/** Bytes of SQL files since the last time. */
let read = 0;
const COLLECTED_BYTES = 32 << 20;

/** By its byte order mark, or since every other byte of its beginning is 0, as in text of Latin letters. */
function isUtf16(bytes: Buffer): boolean {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) return true;
  const start = [...bytes.subarray(0, 64)];
  const zeros = (odd: number) => start.filter((byte, i) => i % 2 === odd && byte === 0).length;
  return (
    start.length >= 16 && Math.max(zeros(0), zeros(1)) > start.length / 2 - 2 && Math.min(zeros(0), zeros(1)) === 0
  );
}

function lineOf(bytes: Buffer, offset: number): number {
  let line = 1;
  for (let i = 0; i < offset; i++) if (bytes[i] === 10) line++;
  return line;
}

/** @returns the files of migrations and of their ways back; others that end like them are refused */
function listFolder(folder: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch (error) {
    throw new KasmDbError('usage', `cannot read the migrations folder ${folder} (${messageOf(error)})`, {
      hint: 'correct --migrations or KASM_DB_MIGRATIONS',
    });
  }
  const others: string[] = [];
  const files = entries.filter((file) => FILE_NAME.test(file) || !others.push(file));
  // Kubernetes mounts ConfigMaps with hidden helper folders (..data) beside the files.
  const misnamed = others.filter((file) => /\.sql$/i.test(file) && !file.startsWith('.'));
  const shouted = misnamed.find((file) => !file.endsWith('.sql'));
  if (shouted)
    throw wrong(
      join(folder, shouted),
      ': the ending is not .sql in small letters',
      'rename it; a migration is called NNNN_name.sql',
    );
  if (misnamed[0])
    throw wrong(
      join(folder, misnamed[0]),
      ': the name does not fit',
      'a migration is called NNNN_name.sql, its down migration NNNN_name.down.sql',
    );
  return files;
}

function wrong(file: string, problem: string, hint: string, line?: number): KasmDbError {
  return new KasmDbError('usage', file + problem, { file, hint, ...(line === undefined ? {} : { line }) });
}

function refuseWithoutUp(start: string, downs: ReadonlySet<string>, names: readonly string[]): void {
  const ups = new Set(names);
  for (const name of downs)
    if (!ups.has(name))
      throw wrong(
        start + name + DOWN,
        ` has no ${name}.sql beside it`,
        `put ${name}.sql there, or delete the down script`,
      );
}

/** @param migrations in the order of their names */
function refuseSameNumber(migrations: readonly Migration[]): void {
  const second = migrations.findIndex(({ number }, i) => number === migrations[i - 1]?.number);
  if (second < 0) return;
  const [{ path: first }, { path: file }] = migrations.slice(second - 1) as [Migration, Migration];
  throw new KasmDbError('usage', `${first} and ${file} have the same number`, {
    file,
    hint: 'give one of them the next free number',
  });
}
