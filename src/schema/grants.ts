import { groupBy, partition } from '../app/group-by.js';
import type { Grant } from './model.js';

/** Grantee (empty: the owner), privilege, with grant option. */
type PrivilegeRow = [grantee: string, privilege: string, grantable: boolean];

export type Grantable = 'table' | 'column' | 'sequence' | 'routine' | 'type' | 'schema';

/** All privileges of a kind; PostgreSQL 17 added MAINTAIN to those of tables, which ALL may or may not mean. */
const ALL: Record<Grantable, string[]> = {
  table: ['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE'],
  column: ['INSERT', 'REFERENCES', 'SELECT', 'UPDATE'],
  sequence: ['SELECT', 'UPDATE', 'USAGE'],
  routine: ['EXECUTE'],
  type: ['USAGE'],
  schema: ['CREATE', 'USAGE'],
};

/** What PUBLIC has as long as nobody revokes it. */
const PUBLIC: Partial<Record<Grantable, string>> = { routine: 'EXECUTE', type: 'USAGE' };

export type GrantsReader = typeof grantsOf;

/** Reads the privileges of many objects: most have the same, and each text is read once. */
export function grantsReader(): GrantsReader {
  const read = new Map<string, Grant[] | undefined>();
  return (kind, acl) => {
    const key = `${kind} ${acl}`;
    if (!read.has(key)) read.set(key, grantsOf(kind, acl));
    return read.get(key);
  };
}

/**
 * Grants in one form for all versions, without who granted them.
 * @param acl JSON of PrivilegeRow[], null where there is no entry
 * @returns undefined when they are what PostgreSQL gives a new object
 */
export function grantsOf(kind: Grantable, acl: string | null | undefined): Grant[] | undefined {
  const rows = (JSON.parse(acl ?? '[]') as PrivilegeRow[]).filter(
    ([grantee, privilege]) => grantee !== '' || privilege !== 'MAINTAIN',
  );
  const byGrantee = groupBy(rows, ([grantee, , grantable]) => JSON.stringify([grantee, grantee !== '' && grantable]));
  const grants = [...byGrantee].map(([key, list]): Grant => {
    const [grantee, grantable] = JSON.parse(key) as [string, boolean];
    const names = [...new Set(list.map(([, privilege]) => privilege))].sort();
    const isAll = ALL[kind].length > 1 && ALL[kind].every((privilege) => names.includes(privilege));
    return {
      grantee: grantee || 'OWNER',
      privileges: isAll ? ['ALL'] : names,
      ...(grantable ? { grantable: true } : {}),
    };
  });
  grants.sort((a, b) => (a.grantee < b.grantee ? -1 : a.grantee > b.grantee ? 1 : a.grantable ? 1 : -1));
  const [[owner], others] = partition(grants, ({ grantee }) => grantee === 'OWNER');
  // Of columns the owner has none of his own; an object without any entry has lost his, too.
  const ownerHasAll =
    kind === 'column' || owner?.privileges.join() === (ALL[kind].length > 1 ? 'ALL' : ALL[kind].join());
  if (!ownerHasAll) return [owner ?? { grantee: 'OWNER', privileges: [] }, ...others];
  return JSON.stringify(others) === JSON.stringify(standardGrants(kind)) ? undefined : others;
}

/** What PostgreSQL gives a new object of a kind, beside its owner's. */
export function standardGrants(kind: Grantable): Grant[] {
  const privilege = PUBLIC[kind];
  return privilege === undefined ? [] : [{ grantee: 'PUBLIC', privileges: [privilege] }];
}

/** Each privilege of each grantee as a text of its own, sorted. */
export function privileges(kind: Grantable, grants: readonly Grant[]): string[] {
  const single = grants.flatMap(({ grantee, privileges: names, grantable }) =>
    names
      .flatMap((name) => (name === 'ALL' ? ALL[kind] : [name]))
      .map((name) => JSON.stringify([grantee, name, grantable ?? false])),
  );
  return [...new Set(single)].sort();
}
