import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../errors.js';
import { readMigrations } from '../migrate/files.js';
import type { Answer } from './command.js';

export interface NewOptions {
  /** Where to; default `migrations`. */
  migrations?: string;
  /** The file runs statement by statement (`--no-transaction`). */
  transaction?: boolean;
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
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      path,
      options.transaction === false
        ? `-- kasm-db: no-transaction\n-- What ${slug} does, and why.\n`
        : `-- What ${slug} does, and why.\n`,
      { flag: 'wx' },
    );
    writeFileSync(downPath, `-- Undoes ${number}_${slug}.sql.\n`, { flag: 'wx' });
  } catch (error) {
    throw new KasmDbError('usage', `cannot write ${path} (${messageOf(error)})`, { file: path });
  }
  return { fields: {}, text: () => `Created ${path}\n        ${downPath}` };
}

function nextNumber(folder: string): string {
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new KasmDbError('usage', `${folder} is a file, not a folder of migrations`, { hint: 'correct --migrations' });
  }
  const any = existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.sql'));
  const last = any ? Number(readMigrations(folder).at(-1)?.number) : 0;
  if (last >= 9999) throw new KasmDbError('usage', `${folder} has used its last number, 9999`);
  return String(last + 1).padStart(4, '0');
}
