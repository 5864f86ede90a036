import type { RunEvents } from '../app/events.js';
import { unknownNames } from '../config/near-names.js';
import type { ConnectionSettings, Resolve } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import type { MigrationState } from '../history/state.js';
import type { DatabaseInfo } from '../output/result.js';

/** For people: `kasm on db.example:5432 as kasmapp`. */
export function describeTarget({ dbname, hosts, user, role }: ConnectionSettings): string {
  const servers = hosts.map(({ host, hostaddr, port }) => `${host || hostaddr}:${port}`).join(', ');
  return `${dbname} on ${servers} as ${user}${role && role !== user ? ` (role ${role})` : ''}`;
}

/**
 * Says first which database is worked on, and what of the settings may not be what was meant.
 * @returns the warnings; nothing where no database is given or the settings are wrong, which the command itself says
 */
export function nameTarget(resolve: Resolve, env: Environment, events: RunEvents): string[] {
  const settings = settingsIfValid(resolve);
  if (!settings) return [];
  events.target?.(describeTarget(settings));
  const warnings = [
    ...settings.contradictions,
    ...unknownNames(env).flatMap(({ name, meant }) =>
      meant ? [`${name} is not a setting; did you mean ${meant}?`] : [],
    ),
  ];
  for (const warning of warnings) events.warning?.(warning);
  return warnings;
}

/** @returns undefined where they are wrong or name no database, which the command itself says */
export function settingsIfValid(resolve: Resolve): ConnectionSettings | undefined {
  try {
    return resolve();
  } catch {
    return undefined;
  }
}

/** The `database` of a result. @param state what was read of it, where something was */
export function describeDatabase(settings: ConnectionSettings, state?: MigrationState): DatabaseInfo {
  const { host, port } = state?.server ?? (settings.hosts[0] as { host: string; port: number });
  return {
    host,
    port,
    name: settings.dbname,
    user: settings.user,
    ...(state && {
      serverVersion: `${Math.floor(state.serverVersion / 10_000)}.${state.serverVersion % 10_000}`,
      connection: state.pooled ? 'pooled' : 'direct',
    }),
  };
}

/** A list that is left out of a result where nothing is in it. */
export function unlessEmpty<T>(list: readonly T[]): T[] | undefined {
  return list.length > 0 ? [...list] : undefined;
}
