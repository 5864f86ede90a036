import type { RedisOptions } from 'ioredis';
import { KasmDbError } from '../app/errors.js';
import { readSettingFile } from '../app/read-file.js';
import { keepSecret, keepUrlPasswords } from '../app/secrets.js';
import { type Environment, readBoolean, readVariable } from './variables.js';

/** How to reach Redis, in ioredis' terms. */
export interface RedisSettings {
  url: string | undefined;
  options: RedisOptions;
  /** Of a cluster, which are tried in turn: each node passes notifications on to all others (Redis manual, Pub/Sub, "Sharded Pub/Sub"). */
  nodes?: RedisNode[];
}

interface RedisNode {
  host: string;
  port: number;
}

const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** Is Redis configured at all? Only then ioredis is loaded. */
export function wantsRedis(env: Environment): boolean {
  return ['URL', 'HOST', 'SENTINELS', 'CLUSTER'].some(
    (name) => env[`KASM_DB_REDIS_${name}`] || env[`KASM_DB_REDIS_${name}_FILE`],
  );
}

/**
 * KASM_DB_REDIS_URL (redis:// or rediss://), or _HOST and _PORT, or _SENTINELS with _MASTER, or _CLUSTER; _USERNAME and _PASSWORD (each also
 * as NAME_FILE), _TLS=true, _CA (file).
 * @throws KasmDbError usage, naming the variable
 */
export function redisSettings(env: Environment): RedisSettings {
  const get = (name: string) => readVariable(env, `KASM_DB_REDIS_${name}`)?.value;
  const url = get('URL');
  if (url && !/^rediss?:\/\//.test(url))
    throw new KasmDbError('usage', 'KASM_DB_REDIS_URL is not a redis:// or rediss:// URL', {
      hint: 'write it as redis://HOST:PORT; the password goes into KASM_DB_REDIS_PASSWORD',
    });
  keepUrlPasswords([url]);
  const ca = get('CA');
  const encrypted = readBoolean(env, 'KASM_DB_REDIS_TLS') || url?.startsWith('rediss://') || ca !== undefined;
  const tls = { ca: ca === undefined ? undefined : readCa(ca) };
  const login: RedisOptions = {
    username: get('USERNAME'),
    password: keepSecret(get('PASSWORD')),
    ...(encrypted ? { tls } : {}),
  };
  const cluster = get('CLUSTER');
  if (cluster) return { url: undefined, options: login, nodes: nodes(cluster, DEFAULT_PORT, 'KASM_DB_REDIS_CLUSTER') };
  const sentinels = get('SENTINELS');
  if (sentinels) {
    const list = nodes(sentinels, SENTINEL_PORT, 'KASM_DB_REDIS_SENTINELS');
    const secure = encrypted ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {};
    return { url: undefined, options: { ...login, sentinels: list, name: get('MASTER') ?? 'mymaster', ...secure } };
  }
  if (url) return { url, options: login };
  const port = get('PORT');
  const portOf = port === undefined ? undefined : portNumber(port, 'KASM_DB_REDIS_PORT');
  return { url, options: { ...login, host: get('HOST'), port: portOf } };
}

function nodes(text: string, port: number, setting: string): RedisNode[] {
  return text.split(',').map((node) => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?\s*$/.exec(node);
    if (!match)
      throw new KasmDbError('usage', `${setting}: "${node}" is not HOST:PORT`, {
        hint: 'give the nodes as HOST:PORT, separated by commas',
      });
    const [, ipv6, name, given] = match;
    return { host: (ipv6 ?? name) as string, port: given ? portNumber(given, setting) : port };
  });
}

function portNumber(text: string, setting: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new KasmDbError('usage', `${setting}: "${text}" is not a port`, { hint: 'give a number from 1 to 65535' });
  return port;
}

function readCa(path: string): string {
  const hint = 'mount the CA there, or correct the path';
  return readSettingFile(path, 'pem', `KASM_DB_REDIS_CA: cannot read ${path}`, hint).bytes.toString('utf8');
}
