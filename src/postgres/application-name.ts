import { hostname } from 'node:os';
import { VERSION } from '../app/version.js';

/** PostgreSQL cuts application_name at NAMEDATALEN - 1 bytes. */
const MAX_BYTES = 63;

/** `kasm-db/<version> <pod or host>`, so that an operator finds us in pg_stat_activity. */
export function applicationName(): string {
  const name = `kasm-db/${VERSION} ${process.env.HOSTNAME || hostname()}`.replace(/[^\x20-\x7e]/g, '?');
  return name.slice(0, MAX_BYTES);
}
