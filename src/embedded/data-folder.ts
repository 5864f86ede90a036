import { createHash } from 'node:crypto';
import { chownSync, existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type FileContent, readSettingFile } from '../app/read-file.js';
import { type Account, passable, sharedFolder } from './binaries.js';

/**
 * The cluster's real folder. When we are root and the server's account can't reach the wanted one (a home folder), it is made below
 * /var/lib/kasm-db, and the wanted one becomes a link to it.
 */
export function dataFolder(wanted: string, account: Account | undefined): string {
  mkdirSync(dirname(wanted), { recursive: true });
  const link = lstatSync(wanted, { throwIfNoEntry: false });
  if (link?.isSymbolicLink()) {
    const target = resolve(dirname(wanted), readlinkSync(wanted));
    if (!existsSync(target)) makeData(target, account);
    return target;
  }
  if (link !== undefined && account && readdirSync(wanted).length === 0) give(wanted, account);
  if (link !== undefined || account === undefined || passable(dirname(wanted), account)) {
    if (link === undefined) makeData(wanted, account);
    return wanted;
  }
  const id = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const data = join(sharedFolder(), `data-${id}`);
  if (!existsSync(data)) makeData(data, account);
  symlinkSync(data, wanted);
  return data;
}

/** A folder that the server alone may enter. */
export function makeData(path: string, account: Account | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  give(path, account);
}

/** To the account that the server runs as. */
export function give(path: string, account: Account | undefined): void {
  if (account) chownSync(path, account.uid, account.gid);
}

/**
 * Reads a small file beside or in the data folder.
 * @throws KasmDbError usage: something else stands there, such as a pipe
 */
export function readOwnFile(path: string): FileContent {
  const hint = 'take it away where no kasm-db uses the folder, or give --embedded another one';
  return readSettingFile(path, 'settings', `cannot read ${path}`, hint);
}
