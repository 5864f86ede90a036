import { isUtf8 } from 'node:buffer';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { dictionary } from '../app/dictionary.js';
import type { Session } from '../postgres/session.js';
import { findTables, isReadable } from '../postgres/tables.js';
import { type Column, lookUpTables, type Table } from './catalog.js';
import { isAsWritten, type SeedRecord } from './records.js';
import { rowKeySql } from './row-keys.js';

/**
 * Columns that users of 1.18 and 1.19 found encrypted, and those whose type in Kasm's export (BLOB) says so; docs/ASSUMPTIONS.md, Seeds.
 * `group_settings.value` is known to be plain.
 */
const ENCRYPTED = dictionary<readonly string[]>({
  settings: ['value'],
  ldap_configs: ['service_account_password'],
  users: ['crypt_password', 'crypt_salt', 'sso_ep'],
  oidc_configs: ['client_secret'],
  aws_configs: ['aws_ec2_private_key'],
  storage_providers: ['client_secret'],
  storage_mappings: ['s3_secret_access_key', 'webdav_pass'],
  session_permissions: ['vnc_password'],
  user_attributes: ['ssh_private_key'],
  physical_tokens: ['token_seed'],
  file_mappings: ['content'],
});

/** Other secrets: the type that keeps encrypted text has no length in the database, and its neighbours have one. */
const SECRET_NAME =
  /(^|_)(password|passphrase|secret|private_key|secret_access_key|tailscale_key|token|token_value|credentials?)$/;

/** May a genuine Kasm API expect this column encrypted? */
export function mayBeEncrypted(
  table: string,
  { name, type, maxLength }: Pick<Column, 'name' | 'type' | 'maxLength'>,
): boolean {
  if (ENCRYPTED[table]?.includes(name)) return true;
  return ['varchar', 'text'].includes(type) && maxLength === null && SECRET_NAME.test(name);
}

/**
 * Has a value the form of what AesEngine of sqlalchemy-utils stores: base64 of whole blocks of 16 bytes, or in a column of bytes the blocks
 * themselves? A hash or token in hex only looks like it. That it has the form proves nothing: other base64 has it, too.
 * @param text as the server writes it: bytes as \x and hex
 */
export function looksEncrypted(text: string | null | undefined, type: string): boolean {
  if (!text) return false;
  if (type !== 'bytea') return isBase64OfBlocks(text);
  const bytes = Buffer.from(text.slice(2), 'hex');
  return isBase64OfBlocks(bytes.toString('latin1')) || (isWholeBlocks(bytes) && !isUtf8(bytes));
}

/** Bytes of a block of AES. */
const BLOCK = 16;
const isWholeBlocks = (bytes: Buffer) => bytes.length > 0 && bytes.length % BLOCK === 0;

function isBase64OfBlocks(text: string): boolean {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || /^[0-9a-f]*$/i.test(text)) return false;
  return isWholeBlocks(Buffer.from(text, 'base64'));
}

/** A column in which values look encrypted that no seed of kasm-db has written. */
export interface EncryptedColumn {
  /** `settings.value` */
  name: string;
  /** It also has values that kasm-db has written, or found to be what the documents say: plain text. */
  plain: boolean;
}

/** Of each table, so that neither many rows nor large ones take memory: one value is enough to know a column by. */
const MOST_ROWS = 500;
const MOST_BYTES = 16_384;

/**
 * Columns of schema public that hold values which look encrypted, as far as this login may read them. Within a transaction of our own; tells no value.
 * @param records what seeds have written: that is known to be plain, whatever it looks like
 */
export async function findEncrypted(session: Session, records: readonly SeedRecord[]): Promise<EncryptedColumn[]> {
  const asked = await readableSecrets(session);
  if (asked.length === 0) return [];
  const rows = await session.query<{ name: string; key: string; texts: Record<string, string | null> }>(
    asked.map(({ table, columns }) => candidatesSql(table, columns)).join('\nUNION ALL '),
  );
  const byRowKey = new Map(records.map((record) => [`${record.table}\0${record.rowKey}`, record]));
  const isFound = (table: string, { name: column, type }: Column) =>
    rows.some(({ name, key, texts }) => {
      const text = name === table ? texts[column] : null;
      return text != null && looksEncrypted(text, type) && !isAsWritten(byRowKey.get(`${table}\0${key}`), column, text);
    });
  const hasPlain = (table: string, { name }: Column) =>
    records.some((record) => record.table === table && record.columns[name]?.print != null);
  return asked
    .flatMap(({ table: { name: table }, columns }) =>
      columns
        .filter((column) => isFound(table, column))
        .map((column) => ({ name: `${table}.${column.name}`, plain: hasPlain(table, column) })),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Has somebody else written into a column that Kasm may encrypt? Pure. */
export function hasOthersValues(records: readonly SeedRecord[], catalog: ReadonlyMap<string, Table>): boolean {
  return records.some(({ table, columns }) =>
    Object.entries(columns).some(([name, { print }]) => {
      const column = catalog.get(table)?.columns.get(name);
      return print === null && column !== undefined && mayBeEncrypted(table, column);
    }),
  );
}

/** Tables with columns that may be encrypted. */
async function readableSecrets(session: Session): Promise<{ table: Table; columns: Column[] }[]> {
  const catalog = await lookUpTables(session);
  const asked = [...catalog.values()].flatMap((table) => {
    const columns = [...table.columns.values()].filter((column) => mayBeEncrypted(table.name, column));
    return columns.length > 0 ? [{ table, columns }] : [];
  });
  const found = await findTables(
    session,
    asked.map(({ table }) => `public.${table.name}`),
  );
  return asked.filter(({ table }) => isReadable(found.get(`public.${table.name}`)));
}

/** Values whose length may be that of whole blocks, in base64 or not. */
function candidatesSql(table: Table, columns: readonly Column[]): string {
  const fits = columns.map(({ name }) => {
    const column = `t.${escapeIdentifier(name)}`;
    return `octet_length(${column}) % 4 = 0 AND octet_length(${column}) BETWEEN ${BLOCK} AND ${MOST_BYTES}`;
  });
  const pairs = columns.map(
    ({ name }, i) => `${escapeLiteral(name)}, CASE WHEN ${fits[i]} THEN t.${escapeIdentifier(name)}::text END`,
  );
  return `(SELECT ${escapeLiteral(table.name)} AS name, ${rowKeySql(table)} AS key, jsonb_build_object(${pairs.join(', ')}) AS texts
FROM public.${escapeIdentifier(table.name)} t WHERE ${fits.map((fit) => `(${fit})`).join(' OR ')} LIMIT ${MOST_ROWS})`;
}
