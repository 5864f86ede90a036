import { messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';

/** What a line of the file is for. */
export interface PassFileKey {
  host: string;
  port: number;
  dbname: string;
  user: string;
}

/** libpq's compiled-in socket folder (Debian's and upstream's): there a line for localhost counts. */
const SOCKET_FOLDERS = ['/var/run/postgresql', '/run/postgresql', '/tmp'];

/**
 * The password that a .pgpass has for a login (PostgreSQL manual, 34.16; passwordFromFile in its fe-connect.c): the first line that fits
 * ends the search, also where its password is empty.
 * @returns no password and why the file was not used, where it is no plain file or others may read it, as in libpq
 */
export function passwordFromFile(file: string, wanted: PassFileKey): { password?: string; ignored?: string } {
  let text: string;
  try {
    const { bytes, stats } = readFile(file, 'settings');
    if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0)
      return { ignored: `others may read it (mode ${(stats.mode & 0o777).toString(8)}; chmod 600 it)` };
    text = bytes.toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    return { ignored: messageOf(error) };
  }
  const host = SOCKET_FOLDERS.includes(wanted.host) ? 'localhost' : wanted.host;
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const [password] = [host, String(wanted.port), wanted.dbname, wanted.user].reduce(afterField, [
      line.replace(/[\r\n]+$/, ''),
    ]);
    // The password ends at a colon too, where none is escaped.
    if (password !== undefined)
      return { password: /^(?:\\.|[^:])*/s.exec(password)?.[0].replace(/\\(.)/gs, '$1') ?? '' };
  }
  return {};
}

/** What stands behind the first field, where that is `*`, or the value with any character escaped. */
function afterField([text]: string[], value: string): string[] {
  if (text === undefined) return [];
  const field = /^((?:\\.|[^:\\])*):(.*)$/s.exec(text);
  const [, name, rest] = field ?? [];
  const fits = name === '*' || name?.replace(/\\(.)/gs, '$1') === value;
  return fits ? [rest as string] : [];
}
