import type pg from 'pg';
import type { WireGuard } from './wire-guard.js';

/** What a server said at login about taking writes; PostgreSQL 14 and later tell it unasked. */
export interface Announced {
  inHotStandby?: boolean;
  readOnly?: boolean;
}

/** A connection that `connect` has made: the driver's, with what the server told at login. */
export type Client = pg.Client & {
  /** PID of the session, as the login told it; behind a pooler it is made up. */
  processID: number | null;
  /** Where it is connected to, an IP address or a folder; `host` is what the user called it. */
  address: string;
  /** server_version_num, as the server announced it at login (a pooler passes it on). */
  announcedVersion?: number;
  /** server_encoding, such as UTF8, in the same way. */
  announcedEncoding?: string;
  announced: Announced;
  /** What the server said when it ended the session while nothing was asked. */
  lastWords?: Error;
  /** Bounds what the server may answer. */
  wire: WireGuard;
};
