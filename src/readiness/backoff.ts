/** What the next pause depends on. */
export interface Moment {
  /** Looks so far. */
  looks: number;
  /** The last pause, before jitter; 0 before the first. */
  lastPauseMs: number;
  /** How long the last look took, from TCP connect to answer. */
  lookMs: number;
  /** The server could not be reached at all. */
  unreachable: boolean;
  /** It could, but had no connection left for us (53300). */
  crowded: boolean;
  /** A run is at work and half of it is done. */
  nearEnd: boolean;
  /** The bell will ring: looking is only a precaution. */
  bell: boolean;
  /** It listens only since the last look, which found a run at work or could not tell: that one may have rung before. */
  unheard: boolean;
  /** It has rung, and no look has got through since. */
  rung: boolean;
  /** Sessions a second that the server has served since the last look; undefined: not known. */
  sessionRate: number | undefined;
}

const FIRST_MS = 250;
/** Near the end each pause is shorter than the one before; not without end. */
const LEAST_MS = 80;
const USUAL_MS = 5000;
/** An unreachable server is asked this seldom in the end, and one that many gates crowd. */
const SLOW_MS = 14_000;
/** With a bell a look is only the answer to "what if the bell is broken". */
const BELL_MS = 32_000;
/**
 * Looks a second that all gates together may cost; a look takes some 6 ms of the server (fork, SCRAM, catalogs), so that is a sixth of a core.
 */
const SESSION_RATE = 28;
/** A look that takes long tells of a tired server: it gets at least this many times its length as a pause. */
const REST = 30;

/** After a ring all gates want in at once; who finds the door full comes again soon. */
const RUNG_MS = 600;
/** After a ring that may have been missed. */
const UNHEARD_MS = 1000;

/** The pause before the next look in milliseconds, without jitter. Pure. */
export function nextPause(moment: Moment): number {
  const { looks, lastPauseMs, lookMs, unreachable, crowded, nearEnd, bell, unheard, rung, sessionRate } = moment;
  if (rung && crowded) return RUNG_MS;
  const grown = Math.min(lastPauseMs === 0 ? FIRST_MS : lastPauseMs * 1.5, USUAL_MS);
  if (unreachable) return Math.min(FIRST_MS * 1.6 ** looks, SLOW_MS);
  if (bell && !(unheard && crowded)) return unheard ? UNHEARD_MS : BELL_MS;
  const rest = Math.min(lookMs * REST, SLOW_MS);
  if (crowded) return Math.min(Math.max(lastPauseMs * 2, USUAL_MS, rest), SLOW_MS);
  const share =
    sessionRate === undefined || sessionRate <= SESSION_RATE
      ? 0
      : Math.max(lastPauseMs, 1000) * (sessionRate / SESSION_RATE);
  const polite = Math.min(Math.max(rest, share), SLOW_MS);
  return Math.max(nearEnd ? grown / 3 : grown, polite, LEAST_MS);
}
