import type { RunEvents } from '../app/events.js';
import type { Resolve } from './settings.js';

/** What every database command needs. */
export interface Context {
  resolve: Resolve;
  signal: AbortSignal;
  events: RunEvents;
}
