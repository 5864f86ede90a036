import type { RunEvents } from '../app/events.js';
import type { ConnectionSettings } from './settings.js';

/** What every database command needs. */
export interface Context {
  /** Gives the connection settings; called for each attempt. */
  resolve: () => ConnectionSettings;
  signal: AbortSignal;
  events: RunEvents;
}
