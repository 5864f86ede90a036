import { plural } from '../app/plural.js';
import type { DatabaseOwner } from '../history/state.js';

/**
 * Kasm's API logs in as the owner of its database, as a rule; what another login makes, such as a superuser that was taken by mistake, it
 * could not use. Pure.
 * @returns undefined where the owner can use it
 */
export function ownershipWarning(
  { user, owner, ownerMayUse }: DatabaseOwner,
  database: string,
): { text: string; fix: string } | undefined {
  if (ownerMayUse) return undefined;
  return {
    text: `${user} does not own database ${database}, ${owner} does: what ${user} makes there, Kasm's API cannot use when it logs in as ${owner}`,
    fix: `log in as ${owner} (POSTGRES_USER), or add --role ${owner}`,
  };
}

/** SQL: how many of these tables of schema public belong to roles that this one is not a member of. @param names of tables, as SQL of type text[] */
export const notOwnedSql = (
  names: string,
) => `(SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
  AND c.relkind = 'r' AND c.relname = ANY (${names}) AND NOT pg_has_role(current_user, c.relowner, 'USAGE'))::int`;

/** Only the owner of a table can alter it. Pure. @param count as notOwnedSql tells */
export function notOwnedTables(count: number, user: string): { text: string; fix: string } {
  return {
    text: `${plural(count, 'table')} of the migrations ${count === 1 ? 'belongs' : 'belong'} to roles that ${user} is not a member of`,
    fix: 'give them to this login (ALTER TABLE … OWNER TO), or set KASM_DB_ROLE to their owner',
  };
}
