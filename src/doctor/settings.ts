import type { TLSSocket } from 'node:tls';
import { messageOf } from '../app/errors.js';
import { formatMs } from '../app/when.js';
import { isSocket } from '../config/hosts.js';
import { unknownNames } from '../config/near-names.js';
import { PARAMETERS } from '../config/parameters.js';
import type { ConnectionSettings } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import { addressesOf } from '../postgres/addresses.js';
import type { Session } from '../postgres/session.js';
import type { Report } from './report.js';

/** Which settings are in force, and what in the environment looks like one and is none. */
export function checkSettings(report: Report, settings: ConnectionSettings, env: Environment): void {
  for (const line of describeSettings(settings)) report.ok('settings', line);
  for (const text of [...settings.notes, ...settings.contradictions]) report.warning('settings', text);
  for (const { name, meant } of unknownNames(env))
    report.warning(
      'settings',
      `${name} is not a setting`,
      meant ? `did you mean ${meant}?` : 'docs/SETTINGS.md lists them',
    );
}

/** What decides where a connection goes is told even where nobody set it. */
const ALWAYS_TOLD = ['host', 'dbname', 'user', 'password', 'sslmode'];

/** Each setting in force, where it came from, and which weaker places it hides; never the value of a secret. */
function describeSettings(settings: ConnectionSettings): string[] {
  const { hosts, dbname, user, password, sslmode, sources, hidden, given } = settings;
  const counts: Record<string, string> = {
    host: hosts.map(({ host, hostaddr, port }) => `${host || hostaddr}:${port}`).join(', '),
    dbname,
    user,
    password: password === undefined ? 'not set' : 'set',
    sslmode,
    target_session_attrs: settings.targetSessionAttrs,
    connect_timeout: formatMs(settings.connectTimeoutMs),
  };
  const lines = PARAMETERS.filter(({ keyword }) => keyword in sources || ALWAYS_TOLD.includes(keyword)).map(
    ({ keyword, secret }) => {
      const value = counts[keyword] ?? (secret ? 'set' : given[keyword]);
      const hides = hidden[keyword] ? `, hides ${hidden[keyword].join(', ')}` : '';
      return `${keyword} ${value || 'empty'} (${sources[keyword] ?? 'default'})${hides}`;
    },
  );
  return [...lines, ...(settings.role ? [`role ${settings.role}`] : [])];
}

/** Are the hosts known to DNS? */
export async function checkNames(report: Report, settings: ConnectionSettings): Promise<void> {
  for (const host of settings.hosts) {
    if (isSocket(host)) continue;
    try {
      const addresses = (await addressesOf(host)).join(', ');
      report.ok(
        'dns',
        addresses === host.host ? `${host.host} is an address` : `${host.host || 'the host'} is ${addresses}`,
      );
    } catch (error) {
      report.failed(
        'dns',
        'unreachable',
        `${host.host} is not found (${messageOf(error)})`,
        'correct POSTGRES_HOST, or make its Service',
      );
    }
  }
}

/** Where the login has led, and how safe the way there is. */
export function checkLogin(report: Report, { client }: Session): void {
  const stream = client.connection.stream as Partial<TLSSocket>;
  report.ok('login', `logged in at ${client.host}:${client.port} as ${client.user}`);
  if (stream.encrypted)
    report.ok(
      'tls',
      `${stream.getProtocol?.()}, its certificate is ${stream.authorized ? 'verified' : 'not verified'}`,
    );
  else
    report.warning(
      'tls',
      'the connection is not encrypted',
      'set PGSSLMODE=verify-full and PGSSLROOTCERT, unless the network is your own',
    );
}
