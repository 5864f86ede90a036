import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { KasmDbError, messageOf } from '../app/errors.js';
import { writeFile } from '../app/write-file.js';
import { type Migration, readMigrations } from './files.js';

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
  if (!statSync(folder).isDirectory()) {
    throw new KasmDbError('usage', `${folder} is a file, not a folder of migrations`, {
      hint: 'correct --migrations or KASM_DB_MIGRATIONS',
    });
  }
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
