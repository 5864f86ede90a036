import type { Family, Peer } from './peers/peer.js';

/** What a timed run has given for one contender; times in milliseconds. */
export interface Timing {
  name: string;
  family: Family | 'floor';
  samples: number[];
  /** Of the first contender, the floor, in the same rounds. */
  floor: number[];
}

/** A table that is not of times. */
export interface Outcome {
  head: string[];
  /** The first cell names the row. */
  rows: string[][];
}

/** What one bench has found; this is what is stored. */
export interface Findings {
  timings?: Timing[];
  outcome?: Outcome;
  /** Peers that were not measured, and why. */
  absent?: string[];
}

/** A limit, with what was found. */
export interface Show {
  text: string;
  figure: string;
  limit: string;
  met: boolean | undefined;
}

export interface BenchOptions {
  /** Rounds; each bench has a number of its own. */
  runs: number | undefined;
  wanted(peer: Peer): boolean;
}

/** One work that is measured. */
export interface Bench {
  name: string;
  title: string;
  /** What is measured, in a sentence or two. */
  about: string;
  run(options: BenchOptions): Promise<Findings>;
  /** What is to hold, from what was found. */
  shows?(findings: Findings): Show[];
}
