import { KasmDbError } from '../app/errors.js';

/** The values a connection URL can carry; the names are those of libpq's keywords. */
export interface UrlValues {
  host?: string;
  port?: string;
  dbname?: string;
  user?: string;
  password?: string;
  params: Record<string, string>;
}

const URL_FORM =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@?]*))?@)?(?<hosts>[^/?]*)(?:\/(?<dbname>[^?]*))?(?:\?(?<query>.*))?$/;

/**
 * Reads a PostgreSQL connection URI by libpq's rules (PostgreSQL manual, 34.1.1.2), which differ from a web URL's:
 * several hosts, a host in the query, a Unix socket folder as host.
 * @param setting how the user named it; the message never repeats the URL, since it may hold a password
 * @throws KasmDbError usage
 */
export function parseConnectionUrl(url: string, setting: string): UrlValues {
  const groups = URL_FORM.exec(url.trim())?.groups;
  if (!groups) {
    throw new KasmDbError('usage', `${setting} is not a PostgreSQL URL`, {
      hint: 'its form is postgres://USER@HOST:PORT/DATABASE?sslmode=MODE',
    });
  }
  const decode = (text: string | undefined) => {
    if (!text) return undefined;
    try {
      return decodeURIComponent(text);
    } catch {
      throw new KasmDbError('usage', `${setting} holds a % that is not a percent-encoding`, {
        hint: 'write % as %25, @ as %40, : as %3A, / as %2F, # as %23',
      });
    }
  };
  // An @ left over is one in the password that was not encoded: what stands before it must not be taken for a host.
  if (/@/.test(groups.hosts ?? '') || /\[[^\]]*$/.test(groups.hosts ?? '')) {
    throw new KasmDbError('usage', `${setting}: cannot tell the host from the password`, {
      hint: 'write @ in a password as %40, : as %3A, / as %2F, ? as %3F',
    });
  }
  const params: Record<string, string> = {};
  for (const pair of (groups.query ?? '').split('&').filter(Boolean)) {
    const [key, ...value] = pair.split('=');
    params[decode(key) ?? ''] = decode(value.join('=')) ?? '';
  }
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const part of (groups.hosts ?? '').split(',')) {
    const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(part);
    if (!match) throw new KasmDbError('usage', `${setting}: cannot read its host and port`);
    hosts.push(decode((match[1] as string).replace(/^\[|\]$/g, '')) ?? '');
    ports.push(match[2] ?? '');
  }
  const values: UrlValues = { params };
  const set = (key: 'host' | 'port' | 'dbname' | 'user' | 'password', value: string | undefined) => {
    if (value) values[key] = value;
  };
  set('host', params.host ?? hosts.join(','));
  set('port', params.port ?? (ports.some(Boolean) ? ports.join(',') : undefined));
  set('dbname', params.dbname ?? decode(groups.dbname));
  set('user', params.user ?? decode(groups.user));
  set('password', params.password ?? decode(groups.password));
  return values;
}
