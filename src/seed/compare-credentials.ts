import type { Session } from '../postgres/session.js';
import { findTables, isReadable } from '../postgres/tables.js';
import { type Credentials, hashPassword } from './credentials.js';
import { looksEncrypted } from './encrypted.js';

/** A credential of which the database has another value than the Secret. */
export interface CredentialDifference {
  key: string;
  kind: 'token' | 'password';
  text: string;
  /** What the database has looks encrypted by Kasm, so that it may be the same. */
  encrypted?: true;
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
  if (isReadable(found.get('public.settings'))) {
    const rows = await session.query<{ category: string; name: string; value: string | null }>(
      "SELECT category, name, value FROM public.settings WHERE (category, name) IN (('manager', 'token'), ('auth', 'registration_token'))",
    );
    for (const [key, [category, name]] of Object.entries(TOKENS)) {
      const secret = credentials.get(key);
      const values = rows.filter((row) => row.category === category && row.name === name).map(({ value }) => value);
      if (secret === undefined || values.length === 0 || values.includes(secret)) continue;
      const text = `${key}: the database has another value than the Secret`;
      const encrypted = values.some((value) => looksEncrypted(value, 'varchar'));
      differences.push(
        encrypted
          ? { key, kind: 'token', text: `${text}, unless Kasm has encrypted it`, encrypted }
          : { key, kind: 'token', text },
      );
    }
  }
  if (isReadable(found.get('public.users'))) {
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
