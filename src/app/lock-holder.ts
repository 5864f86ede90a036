import { formatSeconds } from './when.js';

/** Who holds the migration lock. */
export interface LockHolder {
  pid: number;
  applicationName: string;
  clientAddr: string | null;
  /** Seconds since it connected; null where the role may not see that. */
  connectedSeconds: number | null;
}

/** For people: who holds the migration lock, from where, and for how long. */
export function describeHolder(holder: LockHolder | undefined): string {
  if (!holder) return 'a migrator that has just ended';
  const since = holder.connectedSeconds === null ? '' : `, connected for ${formatSeconds(holder.connectedSeconds)}`;
  const from = holder.clientAddr ? ` from ${holder.clientAddr}` : '';
  return `PID ${holder.pid} (${holder.applicationName || 'unnamed'}${from}${since})`;
}
