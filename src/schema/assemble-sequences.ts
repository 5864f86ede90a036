import { compact } from './compact.js';
import type { GrantsReader } from './grants.js';
import type { Identity, Sequence, SequenceOptions } from './model.js';
import { bySchemaAndName } from './order.js';
import type { SequenceRow } from './rows.js';

/** What an identity column has of its sequence. */
type IdentitySequence = Omit<Identity, 'always'>;

/** All but those of identity columns. */
export function sequencesOf(rows: readonly SequenceRow[], grantsOf: GrantsReader): Sequence[] {
  return rows
    .filter((row) => row.owned !== 'i')
    .map((row) =>
      compact<Sequence>({
        schema: row.schema,
        name: row.name,
        ...optionsOf(row),
        unlogged: row.persistence === 'u' || undefined,
        ownedBy: row.owned ? `${row.ownerTable}.${row.ownerColumnSql}` : undefined,
        comment: row.comment,
        grants: grantsOf('sequence', row.acl),
      }),
    )
    .sort(bySchemaAndName);
}

/** Those of identity columns, by `oid column`. */
export function identitiesOf(rows: readonly SequenceRow[], grantsOf: GrantsReader): Map<string, IdentitySequence> {
  const identities = rows.filter((row) => row.owned === 'i');
  return new Map(identities.map((row) => [`${row.ownerOid} ${row.ownerColumn}`, identitySequence(row, grantsOf)]));
}

/** Of an identity column, without what its name is by itself. */
function identitySequence(row: SequenceRow, grantsOf: GrantsReader): IdentitySequence {
  return compact<IdentitySequence>({
    sequence: optionsOf(row),
    name: row.name === `${row.ownerName}_${row.ownerColumn}_seq` ? undefined : row.name,
    comment: row.comment,
    grants: grantsOf('sequence', row.acl),
  });
}

function optionsOf({ type, start, increment, min, max, cache, cycle }: SequenceRow): SequenceOptions {
  return compact<SequenceOptions>({ type, start, increment, min, max, cache, cycle: cycle || undefined });
}
