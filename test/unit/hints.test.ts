import { describe, expect, it } from 'vitest';
import { hintFor } from '../../src/commands/hints.js';
import type { ConnectionSettings } from '../../src/config/settings.js';

const SETTINGS = { dbname: 'kasm', user: 'kasmapp' } as ConnectionSettings;

describe('hints', () => {
  it('name the real database and role, quoted where SQL needs it', () => {
    const hint = 'GRANT CREATE ON DATABASE <database> TO <role>';
    expect(hintFor(hint, SETTINGS, {})).toBe('GRANT CREATE ON DATABASE kasm TO kasmapp');
    expect(hintFor(hint, { ...SETTINGS, dbname: 'Kasm-1', role: 'the "owner"' }, {})).toBe(
      'GRANT CREATE ON DATABASE "Kasm-1" TO "the ""owner"""',
    );
    expect(hintFor(hint, undefined, {})).toBe(hint);
  });

  it.each([
    [
      'correct POSTGRES_HOST, or wait until its Service exists',
      'correct database.host, or wait until its Service exists',
    ],
    [
      'check user and password (POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE) and pg_hba.conf',
      'check user and password (database.user, the Secret of database.existingSecret or credentials.existingSecret) and pg_hba.conf',
    ],
    ['set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself', 'set database.directUrl to PostgreSQL itself'],
    ['or list all hosts (POSTGRES_HOST=a,b): then', 'or list all hosts (database.host=a,b): then'],
    [
      'or give more time with --lock-timeout; kasm-db status shows',
      'or give more time with migrator.lockTimeout; kasm-db status shows',
    ],
    [
      'For a first installation leave --expect-existing out; for',
      'For a first installation set migrator.initializeOnUpgrade to true; for',
    ],
    [
      'run: kasm-db migrate --lock-timeout 10m, then --lock-timeout',
      'run: kasm-db migrate --lock-timeout 10m, then migrator.lockTimeout',
    ],
  ])('with KASM_DB_HINTS=chart: %s', (hint, inChart) => {
    expect(hintFor(hint, SETTINGS, { KASM_DB_HINTS: 'chart' })).toBe(inChart);
    expect(hintFor(hint, SETTINGS, {})).toBe(hint);
  });

  it('of a parent chart that keeps the rest under a name of its own', () => {
    const env = { KASM_DB_HINTS: 'chart:kasm-db' };
    expect(hintFor('give more time with --lock-timeout, check POSTGRES_HOST', SETTINGS, env)).toBe(
      'give more time with kasm-db.migrator.lockTimeout, check database.host',
    );
    // Of the connection only the login is the parent's.
    expect(hintFor('set KASM_DB_DIRECT_URL, or --role', SETTINGS, env)).toBe(
      'set kasm-db.database.directUrl, or kasm-db.database.role',
    );
  });
});
