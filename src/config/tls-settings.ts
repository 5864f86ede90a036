import { KasmDbError } from '../app/errors.js';
import type { SslMode } from './parameters.js';
import type { Values } from './values.js';

const PROTOCOL_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

export interface ProtocolVersions {
  sslMinProtocolVersion: ProtocolVersion | undefined;
  sslMaxProtocolVersion: ProtocolVersion | undefined;
}

export type SslCertMode = 'disable' | 'allow' | 'require';

/** libpq's word for the roots that the system trusts. */
export const SYSTEM_ROOTS = 'system';

/** @throws KasmDbError usage */
export function sslMode(found: Values): SslMode {
  const system = found.text('sslrootcert') === SYSTEM_ROOTS;
  const mode = (found.text('sslmode') ?? (system ? 'verify-full' : 'prefer')) as SslMode;
  if (system && mode !== 'verify-full')
    throw new KasmDbError(
      'usage',
      `sslrootcert=system needs sslmode=verify-full, not ${mode} (${found.sources.sslmode})`,
      { hint: 'set PGSSLMODE=verify-full, or leave it out' },
    );
  return mode;
}

/** TLS from the first byte on. @throws KasmDbError usage */
export function sslDirect(found: Values, sslmode: SslMode): boolean {
  const direct = found.text('sslnegotiation') === 'direct';
  if (direct && ['disable', 'allow', 'prefer'].includes(sslmode))
    throw new KasmDbError(
      'usage',
      `sslnegotiation=direct (${found.sources.sslnegotiation}) needs sslmode=require or stronger, not ${sslmode}`,
      { hint: 'set PGSSLMODE=require, verify-ca or verify-full' },
    );
  return direct;
}

/** @throws KasmDbError usage: what the runtime cannot do */
export function certificateMode(found: Values): SslCertMode {
  const mode = (found.text('sslcertmode') ?? 'allow') as SslCertMode;
  if (mode === 'require' && process.versions.bun)
    throw new KasmDbError('usage', `sslcertmode=require (${found.sources.sslcertmode}) needs kasm-db on Node`, {
      hint: 'this executable cannot tell whether a server has asked for a certificate: leave it out, or run the npm package',
    });
  return mode;
}

/** @throws KasmDbError usage */
export function protocolVersions(found: Values): ProtocolVersions {
  const version = (key: string, fallback: string): ProtocolVersion | undefined => {
    const value = found.given[key] ?? fallback;
    const known = PROTOCOL_VERSIONS.find((name) => name.toLowerCase() === value.toLowerCase());
    if (known || value === '') return known;
    throw new KasmDbError('usage', `${key} "${value}" (${found.sources[key]}) is unknown`, {
      hint: `it is one of ${PROTOCOL_VERSIONS.join(', ')}`,
    });
  };
  const [min, max] = [version('ssl_min_protocol_version', 'TLSv1.2'), version('ssl_max_protocol_version', '')];
  if (min && max && PROTOCOL_VERSIONS.indexOf(min) > PROTOCOL_VERSIONS.indexOf(max)) {
    const said = (key: string) => `(${found.sources[key] ?? 'default'})`;
    throw new KasmDbError(
      'usage',
      `ssl_min_protocol_version ${min} ${said('ssl_min_protocol_version')} is above ssl_max_protocol_version ${max} ${said('ssl_max_protocol_version')}`,
      { hint: 'raise PGSSLMAXPROTOCOLVERSION, or lower PGSSLMINPROTOCOLVERSION' },
    );
  }
  return { sslMinProtocolVersion: min, sslMaxProtocolVersion: max };
}
