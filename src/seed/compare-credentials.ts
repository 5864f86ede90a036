import { groupBy } from '../app/group-by.js';
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

/** What the database has of a credential. */
interface Stored {
  key: string;
  value: string | null;
  /** Whose hash it is; null: it is a token. */
  username: string | null;
  salt: string | null;
}

const STORED_SQL = {
  'public.settings': `SELECT CASE category WHEN 'manager' THEN 'manager-token' ELSE 'service-token' END AS key, value, NULL AS username, NULL AS salt
FROM public.settings WHERE (category, name) IN (('manager', 'token'), ('auth', 'registration_token')) ORDER BY key`,
  'public.users': `SELECT CASE username WHEN 'admin@kasm.local' THEN 'admin-password' ELSE 'user-password' END AS key, pw_hash AS value, username, salt
FROM public.users WHERE username IN ('admin@kasm.local', 'user@kasm.local') ORDER BY key`,
};

/**
 * Compares the credentials that are given with those that the database has, where this login may read them: two charts that have each made a Secret
 * of their own come out here. Within a transaction of our own; tells no value.
 */
export async function compareCredentials(session: Session, credentials: Credentials): Promise<CredentialDifference[]> {
  const differences: CredentialDifference[] = [];
  const found = await findTables(session, Object.keys(STORED_SQL));
  for (const [table, sql] of Object.entries(STORED_SQL)) {
    const rows = isReadable(found.get(table)) ? await session.query<Stored>(sql) : [];
    for (const [key, stored] of groupBy(rows, (row) => row.key)) {
      const secret = credentials.get(key);
      const isSame = ({ value, username, salt }: Stored) =>
        value === (username === null ? secret : hashPassword(secret ?? '', salt ?? ''));
      if (secret !== undefined && !stored.some(isSame)) differences.push(difference(key, stored));
    }
  }
  return differences;
}

function difference(key: string, stored: readonly Stored[]): CredentialDifference {
  const username = stored[0]?.username;
  if (username) {
    const text = `${key}: ${username} has another password in the database than in the Secret`;
    return { key, kind: 'password', text };
  }
  const text = `${key}: the database has another value than the Secret`;
  return stored.some(({ value }) => looksEncrypted(value, 'varchar'))
    ? { key, kind: 'token', text: `${text}, unless Kasm has encrypted it`, encrypted: true }
    : { key, kind: 'token', text };
}
