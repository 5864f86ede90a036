import { defineConfig } from 'vitest/config';

/** The cluster tests: real Helm on a real cluster. `npm run test:cluster` says what they need. */
export default defineConfig({
  test: {
    include: ['test/cluster/**/*.test.ts'],
    // Helm waits up to 5 minutes per step, and a scenario has several.
    testTimeout: 45 * 60_000,
    hookTimeout: 10 * 60_000,
    fileParallelism: false,
    maxConcurrency: 2,
    pool: 'forks',
  },
});
