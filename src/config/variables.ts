import { KasmDbError } from '../app/errors.js';
import { readSettingFile } from '../app/read-file.js';

export type Environment = Record<string, string | undefined>;

/** What the kubelet injects for a Service named `postgres` or `kasm-db-redis`: a protocol, an IP address and a port. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\/[0-9a-f.:[\]]+:\d+$/;

/** A Kubernetes service link is not a setting. */
export function isServiceLink(env: Environment, name: string): boolean {
  return SERVICE_LINK.test(env[name] ?? '');
}

/**
 * Where NAME is set: as NAME_FILE, or as itself.
 * @returns undefined where it is not
 * @throws KasmDbError usage where both are
 */
export function variableName(env: Environment, name: string): string | undefined {
  const value = isServiceLink(env, name) ? undefined : env[name];
  if (!env[`${name}_FILE`]) return value ? name : undefined;
  if (value) throw new KasmDbError('usage', `both ${name} and ${name}_FILE are set`, { hint: 'unset one of them' });
  return `${name}_FILE`;
}

/**
 * Reads NAME or NAME_FILE; an empty one is not set.
 * @throws KasmDbError usage
 */
export function readVariable(env: Environment, name: string): { value: string; source: string } | undefined {
  const source = variableName(env, name);
  if (source === undefined) return undefined;
  const value = env[source] as string;
  return { value: source === name ? value : readSecretFile(value, source), source };
}

/**
 * Reads a mounted secret; the newline that editors and `kubectl create secret --from-file` leave at its end is not part of it.
 * @throws KasmDbError usage
 */
export function readSecretFile(path: string, setting: string): string {
  const hint = 'mount the Secret there, or correct the path';
  const { bytes } = readSettingFile(path, 'secret', `${setting}: cannot read ${path}`, hint);
  const value = bytes.toString('utf8').replace(/\r?\n$/, '');
  if (value === '')
    throw new KasmDbError('usage', `${setting}: ${path} is empty`, { hint: 'give the Secret key a value' });
  if (value.includes('\0'))
    throw new KasmDbError('usage', `${setting}: ${path} holds a NUL byte; it is not text`, {
      hint: 'give the Secret key a text value',
    });
  return value;
}

const YES = ['true', '1', 'yes', 'on'];
const NO = ['false', '0', 'no', 'off'];

/**
 * Reads NAME or NAME_FILE as yes or no, in the words that people write.
 * @throws KasmDbError usage where it says anything else
 */
export function readBoolean(env: Environment, name: string): boolean {
  const found = readVariable(env, name);
  const word = found?.value.trim().toLowerCase() ?? 'false';
  if (YES.includes(word)) return true;
  if (NO.includes(word)) return false;
  throw new KasmDbError('usage', `${found?.source} "${found?.value}" is neither true nor false`, {
    hint: `write ${YES.join(', ')} or ${NO.join(', ')}`,
  });
}
