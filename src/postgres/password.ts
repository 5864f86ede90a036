import { KasmDbError } from '../app/errors.js';
import type { ConnectionSettings } from '../config/settings.js';
import { hostText } from './refusal.js';

/**
 * The password for one host: the one that is set, else the one that .pgpass has for this host.
 * @throws KasmDbError unreachable when there is none
 */
export async function passwordFor(settings: ConnectionSettings, host: string, port: number): Promise<string> {
  if (settings.password !== undefined) return settings.password;
  const { passwordFromFile, passfilePath } = await import('../config/passfile.js');
  const found = passwordFromFile(settings.passfile, { host, port, dbname: settings.dbname, user: settings.user });
  if (found.password !== undefined) return found.password;
  throw new KasmDbError('unreachable', `${hostText(host, port)} asks for a password, and none is set`, {
    hint: `set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE${found.ignored ? `; ${passfilePath(settings.passfile)} is ignored: ${found.ignored}` : ''}`,
  });
}
