import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dictionary } from '../app/dictionary.js';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import { keepSecret } from '../app/secrets.js';
import { type Environment, readSecretFile, readVariable } from '../config/variables.js';

/** The environment names that Kasm's containers use, by the vendor's Secret key. */
const ENVIRONMENT_NAMES = dictionary<string>({
  'admin-password': 'DEFAULT_ADMIN_PASSWORD',
  'user-password': 'DEFAULT_USER_PASSWORD',
  'manager-token': 'DEFAULT_MANAGER_TOKEN',
  'service-token': 'DEFAULT_REGISTRATION_TOKEN',
  'db-password': 'POSTGRES_PASSWORD',
  'redis-password': 'REDIS_PASSWORD',
});

/** The keys of the vendor's Secret. */
export const KNOWN_KEYS = Object.keys(ENVIRONMENT_NAMES);

/** Users and API keys of the vendor's documents that have a key of their own. */
const KNOWN_USERS = dictionary<string>({
  'admin@kasm.local': 'admin',
  'user@kasm.local': 'user',
  'siteadmin@kasm.local': 'site-admin',
  'workspaceadmin@kasm.local': 'workspace-admin',
});
const KNOWN_API_KEYS = dictionary<string>({ KasmRWApiKey: 'kasm-engineering-api', KcsReadApiKy: 'kcs-api' });

/** Credentials by the vendor's Secret keys, from a mounted Secret, from NAME_FILE or from the environment. */
export interface Credentials {
  get(key: string): string | undefined;
  /** Where a missing key was looked for, for the message. */
  places(key: string): string;
}

/**
 * @param folder the mounted Secret (`--secrets` or KASM_DB_SECRETS_DIR), a file a key; only those that are asked for are read, since other
 * keys of the Secret may hold whatever their owners like
 * @throws KasmDbError usage when it cannot be read; later, on `get`, seed when the key's file is empty or binary
 */
export function readCredentials(
  folder: string | undefined,
  env: Environment,
  generated: ReadonlyMap<string, string> = new Map(),
): Credentials {
  const mounted = folder === undefined ? new Set<string>() : listFolder(folder);
  const read = new Map<string, string | undefined>();
  const find = (key: string) => {
    if (folder !== undefined && mounted.has(key)) return readSecret(join(folder, key));
    const name = ENVIRONMENT_NAMES[key];
    return (name ? readVariable(env, name)?.value : undefined) ?? generated.get(key);
  };
  return {
    get: (key) => {
      if (!read.has(key)) read.set(key, keepSecret(find(key)));
      return read.get(key);
    },
    places: (key) => {
      const name = ENVIRONMENT_NAMES[key];
      const file = folder === undefined ? 'the folder of --secrets, which is not given' : join(folder, key);
      return [file, ...(name ? [name, `${name}_FILE`] : [])].join(', ');
    },
  };
}

function listFolder(folder: string): Set<string> {
  try {
    // Kubernetes keeps ..data and its like beside the keys.
    return new Set(readdirSync(folder).filter((name) => !name.startsWith('.')));
  } catch (error) {
    throw new KasmDbError('usage', `cannot read the secrets folder (${messageOf(error)})`, {
      hint: 'correct --secrets or KASM_DB_SECRETS_DIR; mount the Secret there',
    });
  }
}

function readSecret(path: string): string | undefined {
  const hint = 'give the Secret key a text value';
  try {
    if (!statSync(path).isFile()) return undefined;
    if (isUtf8(readFile(path, 'secret').bytes)) return readSecretFile(path, 'secret');
  } catch (error) {
    const what = error instanceof KasmDbError ? error.message : `secret: cannot read ${path} (${messageOf(error)})`;
    throw new KasmDbError('seed', what, { file: path, hint });
  }
  throw new KasmDbError('seed', `secret: ${path} is not UTF-8 text`, { file: path, hint });
}

/** Keys that belong to services: a user "db@…" must not get the database's password. */
const SERVICE_KEYS = new Set(['db-password', 'redis-password', 'gate-password']);

/** Secret keys that can hold a user's password, the first that exists counts; the vendor documents both forms. */
export function userKeys(username: string): string[] {
  const known = KNOWN_USERS[username];
  if (known) return [`${known}-password`];
  // A Secret of Kubernetes takes no +, so the key that is named as missing has none.
  const dashed = username.replace(/[^A-Za-z0-9-]/g, '-');
  const [local = ''] = username.split('@');
  return [`user-${dashed}-password`, `${local}-password`, `user-${local}-password`].filter(
    (key) => !SERVICE_KEYS.has(key),
  );
}

/** Keys of a Secret that may hold an API key's password, the preferred one first. */
export function apiKeys(apiKey: string, name: string): string[] {
  const known = KNOWN_API_KEYS[apiKey];
  if (known) return [`${known}-password`];
  const dashed = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return [`api-${dashed}-password`, `api-${apiKey}-password`];
}

export const saltKey = (passwordKey: string) => passwordKey.replace(/-password$/, '-salt');

/** Kasm's password hash: lower-case hex of SHA-256 over the password followed by the salt. */
export function hashPassword(password: string, salt: string): string {
  return hash('sha256', password + salt);
}
