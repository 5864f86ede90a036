import { randomUUID } from 'node:crypto';
import { dictionary } from '../app/dictionary.js';
import { apiKeys, type Credentials, hashPassword, saltKey, userKeys } from './credentials.js';
import type { SeedRow } from './document.js';
import { looksLikeToken } from './tokens.js';

/** Which credential fills which columns of a row. */
export interface Assignment {
  row: SeedRow;
  /** The Secret key that has a value, or else the one to make. */
  key: string;
  secret: string | undefined;
  kind: 'user' | 'api' | 'setting';
  /** `pw_hash` and `salt`, or a setting's `value`. */
  columns: { hash?: string; salt?: string; value?: string };
  /** The documents give no other value, so that the row cannot be made without the credential. */
  needed: boolean;
}

const SETTING_KEYS = dictionary<string>({
  'manager\0token': 'manager-token',
  'auth\0registration_token': 'service-token',
});

/** SHA-256 of nothing: what Kasm's preseed writes for its built-in users, until their Secret is applied. */
const PLACEHOLDER_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Columns that credentials fill, so that the documents need not. */
export const CREDENTIAL_COLUMNS = new Set([
  'users.pw_hash',
  'users.salt',
  'api_configs.api_key_secret_hash',
  'api_configs.salt',
]);

/** Finds the rows that credentials belong to. Pure. */
export function assignCredentials(rows: readonly SeedRow[], credentials: Credentials): Assignment[] {
  return rows.flatMap((row) => {
    const text = (column: string) => {
      const value = row.cells.get(column)?.value;
      return typeof value === 'string' ? value : undefined;
    };
    const pick = (keys: string[]) => keys.find((key) => credentials.get(key) !== undefined) ?? (keys[0] as string);
    const make = (
      keys: string[],
      kind: Assignment['kind'],
      columns: Assignment['columns'],
      needed: boolean,
    ): Assignment[] => {
      const key = pick(keys);
      return [{ row, key, secret: credentials.get(key), kind, columns, needed }];
    };
    if (row.table === 'users') {
      const username = text('username');
      // Someone who signs in elsewhere (SAML, LDAP) has no password here.
      if (!username || (text('realm') ?? 'local') !== 'local') return [];
      const needed = [undefined, PLACEHOLDER_HASH].includes(text('pw_hash'));
      return make(userKeys(username), 'user', { hash: 'pw_hash', salt: 'salt' }, needed);
    }
    if (row.table === 'api_configs') {
      const keys = apiKeys(text('api_key') ?? '', text('name') ?? '');
      return make(
        keys,
        'api',
        { hash: 'api_key_secret_hash', salt: 'salt' },
        text('api_key_secret_hash') === undefined,
      );
    }
    if (row.table === 'settings') {
      const key = SETTING_KEYS[`${text('category')}\0${text('name')}`];
      if (key) return make([key], 'setting', { value: 'value' }, looksLikeToken(text('value')) || !text('value'));
    }
    return [];
  });
}

/**
 * The values that a credential gives its row.
 * @param salt of the documents, where they give one
 */
export function credentialValues(
  assignment: Assignment,
  credentials: Credentials,
  salt: string | undefined,
): Record<string, string> {
  const { columns, secret, key } = assignment;
  if (secret === undefined) return {};
  if (columns.value) return { [columns.value]: secret };
  const used = credentials.get(saltKey(key)) ?? salt ?? randomUUID();
  return { [columns.hash as string]: hashPassword(secret, used), [columns.salt as string]: used };
}
