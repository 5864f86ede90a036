import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../app/errors.js';

/** What a line of the file is for. */
export interface PassfileKey {
  host: string;
  port: number;
  dbname: string;
  user: string;
}

/** libpq's compiled-in socket folder (Debian's and upstream's): there a line for localhost counts too. */
const SOCKET_FOLDERS = ['/var/run/postgresql', '/run/postgresql', '/tmp'];

/** The file that is read: PGPASSFILE, else ~/.pgpass. */
export function passfilePath(path: string | undefined): string {
  return path ?? join(homedir(), '.pgpass');
}

/**
 * The password that a .pgpass has for a login (PostgreSQL manual, 34.16): the first line that fits, with `*` for anything, `\:` and `\\`.
 * @returns no password and why the file was not used, where it is no plain file or others may read it, as in libpq
 */
export function passwordFromFile(
  path: string | undefined,
  wanted: PassfileKey,
): { password?: string; ignored?: string } {
  const file = passfilePath(path);
  let text: string;
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return { ignored: 'it is no plain file' };
    if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0)
      return { ignored: `others may read it (mode ${(stat.mode & 0o777).toString(8)}; chmod 600 it)` };
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    return { ignored: messageOf(error) };
  }
  const host = SOCKET_FOLDERS.includes(wanted.host) ? 'localhost' : wanted.host;
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    const [lineHost, port, dbname, user, password] = fields(line);
    const fits = (field: string | undefined, value: string) => field === '*' || field === value;
    if (
      (fits(lineHost, wanted.host) || fits(lineHost, host)) &&
      fits(port, String(wanted.port)) &&
      fits(dbname, wanted.dbname) &&
      fits(user, wanted.user) &&
      password
    )
      return { password };
  }
  return {};
}

/** Splits at colons; a backslash takes the next character as it is. */
function fields(line: string): string[] {
  const found: string[] = [];
  let field = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as string;
    if (c === ':') {
      found.push(field);
      field = '';
    } else field += c === '\\' && i + 1 < line.length ? (line[++i] as string) : c;
  }
  return [...found, field];
}
