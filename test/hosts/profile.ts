import type { Version } from '../support/database.js';

/** A host of PostgreSQL as a server of ours: what its documentation and its users say of roles, settings, extensions and triggers. */
export interface Profile {
  /** Its commands stand in docs/EXTERNAL-DATABASE.md under this mark. */
  mark: string;
  version: Version;
  /** Name of the superuser, whom the host keeps to itself. */
  superuser: string;
  /** Options of the server. */
  settings: string[];
  /** What the host has made before anybody comes, in its order. @param password of every login */
  made(password: string): [database: string, sql: string][];
  /** What doctor warns of there, beside TLS and the version. */
  warnings?: string[];
}
