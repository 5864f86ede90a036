import { messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';

/** libpq's compiled-in socket folder (Debian's and upstream's): there a line for localhost counts. */
const SOCKET_FOLDERS = ['/var/run/postgresql', '/run/postgresql', '/tmp'];

/** Host, port, database, user and password, in each any character escaped; the password ends at a colon too. */
const LINE = /^((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):((?:\\.|[^:\\])*):((?:\\.|[^:])*)/s;

/**
 * The password that a .pgpass has for a login (PostgreSQL manual, 34.16; passwordFromFile in its fe-connect.c): the first line that fits
 * ends the search, also where its password is empty.
 * @returns no password and why the file was not used, where it is no plain file or others may read it, as in libpq
 */
export function passwordFromFile(
  file: string,
  login: { host: string; port: number; dbname: string; user: string },
): { password?: string | undefined; ignored?: string } {
  let text: string;
  try {
    const { bytes, stats } = readFile(file, 'settings');
    if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0)
      return { ignored: `others may read it (mode ${(stats.mode & 0o777).toString(8)}; chmod 600 it)` };
    text = bytes.toString('utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? {} : { ignored: messageOf(error) };
  }
  const host = SOCKET_FOLDERS.includes(login.host) ? 'localhost' : login.host;
  const wanted = [host, String(login.port), login.dbname, login.user];
  for (const line of text.split('\n').filter((one) => !one.startsWith('#'))) {
    const [, ...fields] = LINE.exec(line.replace(/[\r\n]+$/, '')) ?? [];
    const fits = wanted.every((value, i) => fields[i] === '*' || unescaped(fields[i]) === value);
    if (fits) return { password: unescaped(fields[4]) };
  }
  return {};
}

function unescaped(field: string | undefined): string | undefined {
  return field?.replace(/\\(.)/gs, '$1');
}
