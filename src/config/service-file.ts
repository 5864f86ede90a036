import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import type { Environment } from './settings.js';

/**
 * Reads one section of a libpq service file (PostgreSQL manual, 34.17): the user's, then the system's.
 * @throws KasmDbError usage when no file has that service
 */
export function readService(name: string, env: Environment): Record<string, string> {
  const files = [
    env.PGSERVICEFILE || join(homedir(), '.pg_service.conf'),
    join(env.PGSYSCONFDIR || '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files.filter((path) => existsSync(path))) {
    const values = section(readFileSync(file, 'utf8'), name);
    if (values) return values;
  }
  throw new KasmDbError('usage', `service "${name}" is in none of ${files.join(', ')}`, {
    hint: 'add a section for it, or unset PGSERVICE',
  });
}

function section(text: string, name: string): Record<string, string> | undefined {
  let values: Record<string, string> | undefined;
  let inside = false;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(.*)\]$/.exec(line);
    if (header) {
      if (values) break;
      inside = header[1] === name;
      if (inside) values = {};
    } else if (inside && values) {
      const at = line.indexOf('=');
      if (at > 0) values[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    }
  }
  return values;
}
