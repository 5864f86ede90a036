// kasm-db as a library: migrates the database that the environment names, and says how it went.
// npm install ./kasm-db-VERSION.tgz first: the npm package of a release (docs/RELEASING.md), or what `npm pack` makes in a clone.
import { check, migrate } from 'kasm-db';

const result = await migrate({
  ...(process.env.KASM_DB_MIGRATIONS ? { migrations: process.env.KASM_DB_MIGRATIONS } : {}),
  events: {
    target: (text) => console.error(text),
    migrationDone: (name, ms) => console.error(`${name} in ${ms} ms`),
    warning: (text) => console.error(`warning: ${text}`),
  },
});
if (result.outcome !== 'ok') {
  console.error(`${result.error?.message}; next: ${result.error?.hint}`);
  process.exit(result.exitCode);
}
console.log(`${result.applied?.length} applied, now at ${result.current}; check says ${(await check()).outcome}`);
