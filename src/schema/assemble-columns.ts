import { compact } from './compact.js';
import { grantsOf } from './grants.js';
import type { Column, Identity } from './model.js';
import type { ColumnRow } from './rows.js';

/**
 * @param identities sequences of identity columns, by `oid column`
 * @param partition since PostgreSQL 17 a partition's column is an identity when its parent's is: said there only
 */
export function columnsOf(
  rows: readonly ColumnRow[],
  identities: ReadonlyMap<string, Omit<Identity, 'always'>>,
  partition: boolean,
  kind: string,
): Column[] {
  return rows.map((row) => {
    const sequence = partition ? undefined : identities.get(`${row.oid} ${row.name}`);
    return {
      ...compact<Column>({
        name: row.name,
        type: row.type,
        notNull: false,
        default: row.default,
        generated: row.generated === '' ? undefined : row.generated === 'v' ? 'virtual' : 'stored',
        identity: sequence && row.identity !== '' ? { always: row.identity === 'a', ...sequence } : undefined,
        collation: row.collation,
        storage: kind === 'v' ? undefined : row.storage,
        compression: row.compression,
        statistics: row.statistics,
        inherited: row.inherited ? (row.local ? 'merged' : 'inherited') : undefined,
        notNullUnchecked: (row.notNull && row.notNullUnchecked) || undefined,
        comment: row.comment,
        grants: row.acl ? grantsOf('column', row.acl) : undefined,
      }),
      notNull: row.notNull,
    };
  });
}
