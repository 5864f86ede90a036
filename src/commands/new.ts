import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readMigrations } from '../migrations/files.js';
import type { Answer } from './command.js';

export interface NewOptions {
  /** Where to; default `migrations`. */
  migrations?: string;
  /** The file runs statement by statement (`--no-transaction`). */
  transaction?: boolean;
  /** Kasm's Export Schema file of another release: the files lead from the snapshot to it. */
  fromExport?: string;
}

const NAME = /^[a-z0-9][a-z0-9_]*$/;

/**
 * Creates the next migration and its down script.
 * @param name words for the file's name
 * @throws KasmDbError usage
 */
export async function newCommand(name: string, options: NewOptions): Promise<Answer> {
  const folder = options.migrations ?? 'migrations';
  const slug = name
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');
  if (!NAME.test(slug) || slug.length > 60) {
    throw new KasmDbError('usage', `"${name}" does not fit as a migration's name`, {
      hint: 'use up to 60 letters, digits and underscores, such as add_users_locale',
    });
  }
  const number = nextNumber(folder);
  const path = join(folder, `${number}_${slug}.sql`);
  const downPath = join(folder, `${number}_${slug}.down.sql`);
  const { up, down } = await contents(`${number}_${slug}`, folder, options);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, up, { flag: 'wx' });
    writeFileSync(downPath, down, { flag: 'wx' });
  } catch (error) {
    throw new KasmDbError('usage', `cannot write ${path} (${messageOf(error)})`, { file: path });
  }
  return { fields: {}, text: () => `Created ${path}\n        ${downPath}` };
}

async function contents(name: string, folder: string, options: NewOptions): Promise<{ up: string; down: string }> {
  if (options.fromExport !== undefined) {
    if (options.transaction === false)
      throw new KasmDbError('usage', '--no-transaction and --from-export exclude each other');
    const { exportMigration } = await import('../schema/export-migration.js');
    const before = hasMigrations(folder) ? readMigrations(folder) : [];
    return exportMigration(name, options.fromExport, folder, before);
  }
  const head = options.transaction === false ? '-- kasm-db: no-transaction\n' : '';
  return { up: `${head}-- What ${name.slice(5)} does, and why.\n`, down: `-- Undoes ${name}.sql.\n` };
}

function hasMigrations(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.sql'));
}

function nextNumber(folder: string): string {
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new KasmDbError('usage', `${folder} is a file, not a folder of migrations`, { hint: 'correct --migrations' });
  }
  const last = hasMigrations(folder) ? Number(readMigrations(folder).at(-1)?.number) : 0;
  if (last >= 9999) throw new KasmDbError('usage', `${folder} has used its last number, 9999`);
  return String(last + 1).padStart(4, '0');
}
