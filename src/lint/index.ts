/** What `lint` and `plan` need of it; a file of its own beside the bundle. */
export { lint, RULES } from './lint.js';
export { locksOfFiles, type StatementLock } from './plan-locks.js';
