import type { Session } from '../postgres/session.js';
import { findTables, objectionsTo } from '../postgres/tables.js';
import { type Credentials, hashPassword } from './credentials.js';

/** A credential of which the database has another value than the Secret. */
export interface CredentialDifference {
  key: string;
  kind: 'token' | 'password';
  text: string;
}

const TOKENS = { 'manager-token': ['manager', 'token'], 'service-token': ['auth', 'registration_token'] } as const;
const USERS = { 'admin-password': 'admin@kasm.local', 'user-password': 'user@kasm.local' } as const;

/**
 * Compares the credentials that are given with those that the database has, where this login may read them: two charts that have each made a Secret
 * of their own come out here. Within a transaction of our own; tells no value.
 */
export async function compareCredentials(session: Session, credentials: Credentials): Promise<CredentialDifference[]> {
  const differences: CredentialDifference[] = [];
  const found = await findTables(session, ['public.settings', 'public.users']);
  const readable = (name: string) => {
    const table = found.get(name);
    return table?.readable && !table.rowSecurity && objectionsTo(table).length === 0;
  };
  if (readable('public.settings')) {
    const rows = await session.query<{ category: string; name: string; value: string | null }>(
      "SELECT category, name, value FROM public.settings WHERE (category, name) IN (('manager', 'token'), ('auth', 'registration_token'))",
    );
    for (const [key, [category, name]] of Object.entries(TOKENS)) {
      const secret = credentials.get(key);
      const values = rows.filter((row) => row.category === category && row.name === name).map(({ value }) => value);
      if (secret === undefined || values.length === 0 || values.includes(secret)) continue;
      const text = values.some(looksEncrypted)
        ? `${key}: the database has another value than the Secret, unless Kasm has encrypted it`
        : `${key}: the database has another value than the Secret`;
      differences.push({ key, kind: 'token', text });
    }
  }
  if (readable('public.users')) {
    const rows = await session.query<{ username: string; hash: string | null; salt: string | null }>(
      `SELECT username, pw_hash AS hash, salt FROM public.users WHERE username IN ('admin@kasm.local', 'user@kasm.local')`,
    );
    for (const [key, username] of Object.entries(USERS)) {
      const secret = credentials.get(key);
      const of = rows.filter((row) => row.username === username);
      if (secret === undefined || of.length === 0) continue;
      if (of.some(({ hash, salt }) => hash === hashPassword(secret, salt ?? ''))) continue;
      const text = `${key}: ${username} has another password in the database than in the Secret`;
      differences.push({ key, kind: 'password', text });
    }
  }
  return differences;
}

/** As AesEngine of sqlalchemy-utils stores it: base64 of blocks of 16 bytes. A token in hex only looks like it. */
function looksEncrypted(value: string | null): boolean {
  if (value === null || !/^[A-Za-z0-9+/]+={0,2}$/.test(value) || /^[0-9a-f]*$/i.test(value)) return false;
  return value.length % 4 === 0 && Buffer.from(value, 'base64').length % 16 === 0;
}
