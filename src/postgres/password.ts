import { KasmDbError } from '../app/errors.js';
import { keepSecret } from '../app/secrets.js';
import type { Host } from '../config/hosts.js';
import type { ConnectionSettings } from '../config/settings.js';
import { hostText } from './refusal.js';

/**
 * The password for one host: the one that is set, else the one that the pass file has for this host.
 * @throws KasmDbError unreachable when there is none
 */
export async function passwordFor(settings: ConnectionSettings, target: Host): Promise<string> {
  const { password, passfile, dbname, user } = settings;
  if (password !== undefined) return password;
  const { passwordFromFile } = await import('../config/pass-file.js');
  const key = { host: target.host || (target.hostaddr as string), port: target.port, dbname, user };
  const found = passfile === undefined ? {} : passwordFromFile(passfile, key);
  if (found.password) return keepSecret(found.password);
  throw new KasmDbError('unreachable', `${hostText(target)} asks for a password, and none is set`, {
    hint: `set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE${found.ignored ? `; ${passfile} is ignored: ${found.ignored}` : ''}`,
  });
}
