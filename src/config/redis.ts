import type { RedisOptions } from 'ioredis';
import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import { keepSecret } from '../app/secrets.js';
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

/** Is Redis configured at all? Cheap: decides whether ioredis is loaded. */
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
  if (url) keepUrlPassword(url);
  const ca = get('CA');
  const tls =
    readBoolean(env, 'KASM_DB_REDIS_TLS') || url?.startsWith('rediss://') || ca !== undefined
      ? { ...(ca ? { ca: readCa(ca) } : {}) }
      : undefined;
  const login: RedisOptions = {
    ...(get('USERNAME') ? { username: get('USERNAME') as string } : {}),
    ...(get('PASSWORD') ? { password: keepSecret(get('PASSWORD') as string) } : {}),
    ...(tls ? { tls } : {}),
  };
  const cluster = get('CLUSTER');
  if (cluster) return { url: undefined, options: login, nodes: nodes(cluster, DEFAULT_PORT, 'KASM_DB_REDIS_CLUSTER') };
  const sentinels = get('SENTINELS');
  if (sentinels) {
    const name = get('MASTER') ?? 'mymaster';
    return {
      url: undefined,
      options: {
        ...login,
        sentinels: nodes(sentinels, SENTINEL_PORT, 'KASM_DB_REDIS_SENTINELS'),
        name,
        ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
      },
    };
  }
  const host = get('HOST');
  const port = get('PORT');
  return {
    url,
    options: {
      ...login,
      ...(host && !url ? { host } : {}),
      ...(port && !url ? { port: portNumber(port, 'KASM_DB_REDIS_PORT') } : {}),
    },
  };
}

function nodes(text: string, port: number, setting: string): RedisNode[] {
  return text.split(',').map((node) => {
    const match = /^\s*(\[[^\]]+\]|[^:\s]+)(?::(\d+))?\s*$/.exec(node);
    if (!match)
      throw new KasmDbError('usage', `${setting}: "${node}" is not HOST:PORT`, {
        hint: 'give the nodes as HOST:PORT, separated by commas',
      });
    return {
      host: (match[1] as string).replace(/^\[|\]$/g, ''),
      port: match[2] ? portNumber(match[2], setting) : port,
    };
  });
}

function portNumber(text: string, setting: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new KasmDbError('usage', `${setting}: "${text}" is not a port`, { hint: 'give a number from 1 to 65535' });
  return port;
}

function readCa(path: string): string {
  try {
    return readFile(path, 'pem').bytes.toString('utf8');
  } catch (error) {
    throw new KasmDbError('usage', `KASM_DB_REDIS_CA: cannot read ${path} (${messageOf(error)})`, {
      hint: 'mount the CA there, or correct the path',
    });
  }
}

function keepUrlPassword(url: string): void {
  const password = /^rediss?:\/\/[^:/@]*:([^@]*)@/.exec(url)?.[1];
  keepSecret(password);
  try {
    keepSecret(password && decodeURIComponent(password));
  } catch {
    // Then ioredis takes it as it is.
  }
}
