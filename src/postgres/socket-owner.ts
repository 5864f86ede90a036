import { lstatSync, statSync } from 'node:fs';
import { accountOf } from '../config/account.js';

/**
 * requirepeer: does the Unix socket belong to this account? libpq asks the kernel who listens, which Node cannot; the owner of the socket's
 * file is the same account, as long as nobody else can put another file in its place.
 * @param path of the socket
 * @returns what is wrong; undefined when it does
 */
export function foreignSocket(path: string, account: string): string | undefined {
  const socket = lstatSync(path);
  const folder = statSync(path.slice(0, path.lastIndexOf('/')));
  if (!socket.isSocket()) return 'is not a socket';
  const owner = accountOf(socket.uid)?.name;
  if (owner !== account)
    return `belongs to ${owner ?? `uid ${socket.uid}, which has no account here`}, not to ${account}`;
  const sticky = (folder.mode & 0o1000) !== 0;
  if (folder.uid !== 0 && folder.uid !== socket.uid) return `is in a folder of uid ${folder.uid}`;
  return (folder.mode & 0o022) !== 0 && !sticky ? 'is in a folder that others may write to' : undefined;
}
