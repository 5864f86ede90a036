import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { KasmDbError, messageOf } from '../errors.js';
import { normalize } from './checksum.js';
import { type MigrationHeader, parseMigration } from './header.js';

export type { MigrationHeader } from './header.js';

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
 * The way back of a migration, as a file that can be run.
 * @throws KasmDbError usage when a directive in it is wrong
 */
export async function downOf(migration: Migration): Promise<Migration | undefined> {
  const sql = await migration.downSql();
  if (sql === undefined) return undefined;
  const header = parseMigration(migration.name, migration.downPath, sql, false);
  return { ...migration, ...header, hasDown: true, path: migration.downPath, sql: async () => sql };
}

const FILE_NAME = /^(\d{4})_[A-Za-z0-9][A-Za-z0-9_-]*?(\.down)?\.sql$/;

/** Does one of them write alembic_version, so that it is worth looking at? */
export function writesVendorVersion(migrations: readonly MigrationHeader[]): boolean {
  return migrations.some((migration) => migration.vendorVersion !== undefined);
}

/** The migrations that ship with this build. Their SQL is only evaluated when it is asked for. */
export async function shippedMigrations(): Promise<Migration[]> {
  const { headers } = await import('kasm-db:migrations');
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
  const ups = new Map<string, string>();
  const downs = new Map<string, string>();
  for (const file of listFolder(folder)) {
    const match = FILE_NAME.exec(file);
    if (!match) {
      throw new KasmDbError('usage', `${join(folder, file)}: the name does not fit`, {
        hint: 'a migration is called NNNN_name.sql, its way back NNNN_name.down.sql',
        file: join(folder, file),
      });
    }
    const name = basename(file, match[2] ? '.down.sql' : '.sql');
    (match[2] ? downs : ups).set(name, join(folder, file));
  }
  if (ups.size === 0) {
    throw new KasmDbError('usage', `${folder} holds no migration`, {
      hint: 'name a folder with files NNNN_name.sql, or leave --migrations out to use the ones that ship with kasm-db',
    });
  }
  for (const [name, path] of downs) {
    if (!ups.has(name)) throw new KasmDbError('usage', `${path} has no ${name}.sql beside it`, { file: path });
  }
  const migrations = [...ups].map(([name, path]) => {
    const text = readSql(path);
    const down = downs.get(name);
    return {
      ...parseMigration(name, path, text, down !== undefined),
      path,
      downPath: down ?? path.replace(/\.sql$/, '.down.sql'),
      sql: async () => text,
      downSql: async () => (down === undefined ? undefined : readSql(down)),
    };
  });
  migrations.sort((a, b) => (a.name < b.name ? -1 : 1));
  refuseSameNumber(migrations);
  return migrations;
}

let utf8: InstanceType<typeof TextDecoder> | undefined;

/**
 * Reads a file of SQL.
 * @throws KasmDbError usage when it is unreadable, empty, no UTF-8 or holds a NUL
 */
export function readSql(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new KasmDbError('usage', `cannot read ${path} (${messageOf(error)})`, { file: path });
  }
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    throw new KasmDbError('usage', `${path} holds a NUL byte; it is no text`, { file: path, line: lineOf(bytes, nul) });
  }
  let text: string;
  try {
    utf8 ??= new TextDecoder('utf-8', { fatal: true });
    text = utf8.decode(bytes);
  } catch {
    throw new KasmDbError('usage', `${path} is not UTF-8`, { file: path, hint: 'convert it, for example with iconv' });
  }
  if (text.trim() === '') throw new KasmDbError('usage', `${path} is empty`, { file: path });
  return normalize(text);
}

function lineOf(bytes: Buffer, offset: number): number {
  let line = 1;
  for (let i = 0; i < offset; i++) if (bytes[i] === 10) line++;
  return line;
}

function listFolder(folder: string): string[] {
  let entries: string[];
  try {
    // Kubernetes mounts ConfigMaps with hidden helper folders (..data) beside the files.
    entries = readdirSync(folder);
  } catch (error) {
    throw new KasmDbError('usage', `cannot read the migrations folder ${folder} (${messageOf(error)})`, {
      hint: 'correct --migrations',
    });
  }
  const files = entries.filter((file) => /\.sql$/i.test(file) && !file.startsWith('.'));
  const shouted = files.find((file) => !file.endsWith('.sql'));
  if (shouted) {
    throw new KasmDbError('usage', `${join(folder, shouted)}: the ending is not .sql in small letters`, {
      file: join(folder, shouted),
      hint: 'rename it; a migration is called NNNN_name.sql',
    });
  }
  return files;
}

function refuseSameNumber(migrations: Migration[]): void {
  for (let i = 1; i < migrations.length; i++) {
    const [a, b] = [migrations[i - 1] as Migration, migrations[i] as Migration];
    if (a.number === b.number) {
      throw new KasmDbError('usage', `${a.path} and ${b.path} have the same number`, {
        file: b.path,
        hint: 'give one of them the next free number',
      });
    }
  }
}
