import { partition } from '../app/group-by.js';
import type { Session } from '../postgres/session.js';
import { ident, namePart } from './ddl/names.js';
import type { Difference } from './diff.js';
import { type Grantable, grantsOf, privileges, standardGrants } from './grants.js';
import type { Grant, Schema, Table } from './model.js';
import { objectsOf, type SchemaObject } from './objects.js';
import { grants } from './queries/common.js';
import { unitsNotOfSql } from './queries/others.js';

/** Whose the objects of a database are, and what its administrator gives every new one. */
export interface Ownership {
  /** What belongs neither to the history's owner, nor to the database's, nor to the login: as dependencies call it. */
  ofOthers: ReadonlySet<string>;
  /** What ALTER DEFAULT PRIVILEGES gives to objects that are made, by kind and schema (empty: every schema). */
  defaults: readonly { kind: Grantable; schema: string; grants: Grant[]; replaces: boolean }[];
}

const OWN = `SELECT datdba FROM pg_database WHERE datname = current_database()
  UNION SELECT nspowner FROM pg_namespace WHERE nspname = 'kasm_db' UNION SELECT relowner FROM pg_class WHERE oid = to_regclass('kasm_db.migrations')
  UNION SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user)`;

const DEFAULTS_SQL = `SELECT d.defaclobjtype AS type, coalesce(n.nspname, '') AS schema, ${grants('d.defaclacl', 'r', 'd.defaclrole')} AS acl
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE d.defaclrole IN (${OWN})`;

const KINDS: Record<string, Grantable> = { r: 'table', S: 'sequence', f: 'routine', T: 'type', n: 'schema' };

/** Within a transaction of our own. */
export async function readOwnership(session: Session): Promise<Ownership> {
  const others = await session.query<{ id: string }>(unitsNotOfSql(session.serverVersion, OWN));
  const rows = await session.query<{ type: string; schema: string; acl: string | null }>(DEFAULTS_SQL);
  return {
    ofOthers: new Set(others.map(({ id }) => id)),
    defaults: rows.map(({ type, schema, acl }) => ({
      kind: KINDS[type] as Grantable,
      schema,
      grants: (grantsOf(KINDS[type] as Grantable, acl) ?? []).filter(({ grantee }) => grantee !== 'OWNER'),
      // Without a schema it stands in the place of what PostgreSQL gives by itself.
      replaces: schema === '',
    })),
  };
}

/** Made by nobody's migration and in nobody's schema: the server's or the database's as a whole. */
const OF_THE_DATABASE = new Set([
  'schema',
  'extension',
  'event trigger',
  'publication',
  'foreign server',
  'foreign-data wrapper',
  'access method',
  'language',
  'transform',
  'cast',
]);

/**
 * Parts differences from what is not ours: extensions, publications and the like that no migration made, what stands in other schemas than public
 * and those that migrations make, and what belongs to others in these. Pure.
 */
export function notOurs(
  differences: readonly Difference[],
  expected: Schema,
  actual: Schema,
  { ofOthers }: Ownership,
): { ours: Difference[]; others: Difference[] } {
  // As ids have it, and as PostgreSQL writes what the model only names.
  const own = ['public', ...expected.schemas.flatMap(({ name }) => [namePart(name), ident(name)])];
  const objects = objectsOf(actual);
  const isOthers = ({ change, object, group }: Difference) => {
    if (change !== 'extra') return false;
    const { kind, unit } = objects.get(object) as SchemaObject;
    return OF_THE_DATABASE.has(kind) || ofOthers.has(unit) || !own.some((schema) => group.startsWith(`${schema}.`));
  };
  const [others, ours] = partition(differences, isOthers);
  return { ours, others };
}

/** What ALTER DEFAULT PRIVILEGES calls an object. */
function grantableOf({ kind, unit }: SchemaObject): Grantable | undefined {
  if (kind === 'identity') return 'sequence';
  const [word = ''] = unit.split(' ');
  return ({ table: 'table', view: 'table', sequence: 'sequence', routine: 'routine', type: 'type' } as const)[word];
}

/** The catalog without the privileges that every new object gets by default privileges, where the migrations do not give them; pure. */
export function withoutDefaultGrants(
  actual: Schema,
  expected: Schema,
  { defaults }: Ownership,
): { schema: Schema; found: string[] } {
  if (defaults.length === 0) return { schema: actual, found: [] };
  const found = new Set<string>();
  const schema = structuredClone(actual);
  const wanted = objectsOf(expected);
  for (const object of objectsOf(schema).values()) {
    const kind = grantableOf(object);
    const other = wanted.get(object.id)?.item;
    const { item, relation = item as Table } = object;
    const given = defaults.filter((entry) => entry.kind === kind && ['', relation.schema].includes(entry.schema));
    if (!kind || !other || given.length === 0) continue;
    const extra = given.flatMap(({ grants }) => grants);
    const standard = given.some(({ replaces }) => replaces) ? [] : standardGrants(kind);
    const asked = privileges(kind, other.grants ?? standard);
    const unasked = new Set(privileges(kind, extra).filter((one) => !asked.includes(one)));
    const left = privileges(kind, item.grants ?? standardGrants(kind)).filter((one) => !unasked.has(one));
    if (JSON.stringify(item.grants) === JSON.stringify(other.grants) || left.join() !== asked.join()) continue;
    for (const grant of extra) found.add(`${grant.privileges.join(', ')} on every ${kind} for ${grant.grantee}`);
    item.grants = other.grants;
  }
  return { schema, found: [...found].sort() };
}
