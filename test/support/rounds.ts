/** How often a test repeats what only shows by chance: `reduced` in `npm test`, `full` in `npm run test:stress`. */
export function rounds<T>(reduced: T, full: T): T {
  return process.env.KASM_DB_STRESS === '1' ? full : reduced;
}

/** A source of random numbers that a failing round can be repeated with: KASM_DB_SEED=<seed>. */
export function randomSource(): { seed: number; next: () => number } {
  const seed = Number(process.env.KASM_DB_SEED ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed;
  // mulberry32: small, and even enough for picking moments.
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next };
}
