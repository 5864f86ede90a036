import type pg from 'pg';
import type { WireGuard } from './wire-guard.js';

/** Parameters of which we keep what the server reports; a pooler passes them on. PostgreSQL 14 and later report the last two. */
export const REPORTED = [
  'server_version',
  'server_encoding',
  'in_hot_standby',
  'default_transaction_read_only',
] as const;

/** A connection that `connect` has made: the driver's, with what the server told at login. */
export type Client = pg.Client & {
  /** PID of the session, as the login told it; behind a pooler it is made up. */
  processID: number | null;
  /** For a cancel request. */
  secretKey: unknown;
  /** Where it is connected to, an IP address or a folder; `host` is what the user called it. */
  address: string;
  reported: Partial<Record<(typeof REPORTED)[number], string>>;
  /** What the server said when it ended the session while nothing was asked. */
  lastWords?: Error;
  /** Bounds what the server may answer. */
  wire: WireGuard;
};
