import type { Session } from '../postgres/session.js';
import type { Schema } from './model.js';
import { neededStrangersSql } from './queries/others.js';

/**
 * Roles that are not trusted and have made something here, each with the ids of what it has made and of what cannot be there without that. Within a
 * transaction of our own.
 */
export async function readStrangers(session: Session): Promise<Schema['others']> {
  const rows = await session.query<{ name: string; dependent: string }>(neededStrangersSql(session.serverVersion));
  const roles = [...new Set(rows.map(({ name }) => name))];
  return roles.map((role) => ({
    kind: 'objects of role',
    name: role,
    neededBy: rows.filter(({ name }) => name === role).map(({ dependent }) => dependent),
  }));
}
