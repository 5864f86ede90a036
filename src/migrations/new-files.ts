import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { KasmDbError, messageOf } from '../app/errors.js';
import { writeFile } from '../app/write-file.js';
import { type Migration, readMigrations } from './files.js';

/** What a migration's name says behind its number. */
const WORDS = /^[a-z0-9][a-z0-9_]{0,59}$/;

/** @param name as a person says it @throws KasmDbError usage where it does not fit */
export function wordsOf(name: string): string {
  const words = name
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');
  if (WORDS.test(words)) return words;
  throw new KasmDbError('usage', `"${name}" does not fit as a migration's name`, {
    hint: 'use up to 60 letters, digits and underscores, such as add_users_locale',
  });
}

/** A file to write: where, and what. */
export type NewFile = readonly [path: string, text: string];

/** All of them or none; never over a file that is there. @throws KasmDbError usage */
export function writeNewFiles(folder: string, files: readonly NewFile[]): void {
  const written: string[] = [];
  for (const [path, text] of files) {
    try {
      mkdirSync(folder, { recursive: true });
      writeFile(path, text, { fresh: true });
      written.push(path);
    } catch (error) {
      for (const earlier of written) rmSync(earlier, { force: true });
      throw new KasmDbError('usage', `cannot write ${path} (${messageOf(error)})`, {
        file: path,
        hint: 'name another folder with --migrations, or another name',
      });
    }
  }
}

/** None where the folder is not there yet. @throws KasmDbError usage */
export function migrationsIn(folder: string): Migration[] {
  if (!existsSync(folder)) return [];
  if (!statSync(folder).isDirectory())
    throw new KasmDbError('usage', `${folder} is a file, not a folder of migrations`, {
      hint: 'correct --migrations or KASM_DB_MIGRATIONS',
    });
  return readdirSync(folder).some((file) => file.endsWith('.sql')) ? readMigrations(folder) : [];
}

/** @throws KasmDbError usage: all four digits are used */
export function nextNumber(folder: string, before: readonly Migration[]): string {
  const last = Number(before.at(-1)?.number ?? 0);
  if (last >= 9999)
    throw new KasmDbError('usage', `${folder} has used its last number, 9999`, {
      hint: 'begin another folder of migrations',
    });
  return String(last + 1).padStart(4, '0');
}
