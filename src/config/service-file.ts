import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { readSettingFile } from '../app/read-file.js';
import { homeFile } from './account.js';
import type { ConnectionValues } from './connection-string.js';
import { parameterOf } from './parameters.js';
import type { Environment } from './variables.js';

/** libpq's limit, the newline included. */
const LINE_BYTES = 1023;
const HINT = 'correct PGSERVICEFILE, or unset it';

/**
 * Reads one section of a libpq service file (PostgreSQL manual, 34.17; parseServiceFile in its fe-connect.c): of PGSERVICEFILE or the
 * user's own, then of the system's.
 * @throws KasmDbError usage where no file has the service, or it cannot be read
 */
export function readService(name: string, env: Environment): ConnectionValues {
  const own = homeFile(env, '.pg_service.conf');
  const system = join(env.PGSYSCONFDIR ?? '/etc/postgresql-common', 'pg_service.conf');
  const files = [env.PGSERVICEFILE ?? own, system].filter(
    (file) => file !== undefined && (file === env.PGSERVICEFILE || existsSync(file)),
  ) as string[];
  for (const file of files) {
    const { bytes } = readSettingFile(file, 'settings', `cannot read the service file ${file}`, HINT);
    const values = section(bytes.toString('utf8'), name, file);
    if (values) return values;
  }
  throw new KasmDbError('usage', `service "${name}" is in no service file (looked in: ${files.join(', ') || 'none'})`, {
    hint: `add a section [${name}] to ${env.PGSERVICEFILE ?? own ?? system}, or unset PGSERVICE`,
  });
}

function section(text: string, name: string, file: string): ConnectionValues | undefined {
  let values: ConnectionValues | undefined;
  for (const [i, raw] of text.split('\n').entries()) {
    const wrong = (what: string) =>
      new KasmDbError('usage', `service file ${file}, line ${i + 1}: ${what}`, {
        hint: 'a section is [NAME], then lines KEY=VALUE without blanks around =, with the keys of docs/SETTINGS.md',
      });
    if (Buffer.byteLength(raw) >= LINE_BYTES) throw wrong('the line is too long');
    const line = raw.replace(/^[ \t\v\f\r]+|[ \t\v\f\r]+$/g, '');
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (values) break;
      if (line.startsWith(`[${name}]`)) values = new Map();
    } else if (values) {
      const at = line.indexOf('=');
      const key = line.slice(0, at);
      if (at < 0) throw wrong('the line is not KEY=VALUE');
      if (key === 'service') throw wrong('a service cannot name another one');
      if (!parameterOf(key)) throw wrong('libpq does not know the key');
      // The first one counts.
      if (!values.has(key)) values.set(key, line.slice(at + 1));
    }
  }
  return values;
}
