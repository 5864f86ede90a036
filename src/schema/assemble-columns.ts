import { compact } from './compact.js';
import type { GrantsReader } from './grants.js';
import type { Column, Identity } from './model.js';
import type { ColumnRow, RelationRow } from './rows.js';

/** @param identities sequences of identity columns, by `oid column` */
export function columnsOf(
  rows: readonly ColumnRow[],
  { kind, partitionBound }: RelationRow,
  identities: ReadonlyMap<string, Omit<Identity, 'always'>>,
  grantsOf: GrantsReader,
): Column[] {
  // Since PostgreSQL 17 a partition's column is an identity when its parent's is: said there only.
  const partition = partitionBound !== null;
  return rows.map((row) => {
    const sequence = partition || row.identity === '' ? undefined : identities.get(`${row.oid} ${row.name}`);
    return Object.assign(
      compact<Column>({
        name: row.name,
        type: row.type,
        notNull: false,
        default: row.default,
        generated: row.generated === '' ? undefined : row.generated === 'v' ? 'virtual' : 'stored',
        identity: sequence && { always: row.identity === 'a', ...sequence },
        collation: row.collation,
        storage: kind === 'v' ? undefined : row.storage,
        compression: row.compression,
        statistics: row.statistics,
        options: row.options?.sort(),
        inherited: row.inherited ? (row.local ? 'merged' : 'inherited') : undefined,
        notNullUnchecked: (row.notNull && row.notNullUnchecked) || undefined,
        comment: row.comment,
        grants: row.acl ? grantsOf('column', row.acl) : undefined,
      }),
      { notNull: row.notNull },
    );
  });
}
