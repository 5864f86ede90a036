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
