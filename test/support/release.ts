/**
 * The facts of the Kasm release that this kasm-db ships, read from what ships: a test that needs one takes it from here, so that the next
 * release's migrations and its export change no test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Snapshot } from '../../src/schema/snapshot.js';

const ROOT = join(import.meta.dirname, '../..');
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), 'utf8');
const last = <T>(list: readonly T[]) => list.at(-1) as T;

/** Names of the migrations, oldest first. */
export const MIGRATIONS: readonly string[] = readdirSync(join(ROOT, 'migrations'))
  .filter((file) => /^\d{4}.*(?<!\.down)\.sql$/.test(file))
  .map((file) => file.slice(0, -'.sql'.length))
  .sort();

export const NEWEST = last(MIGRATIONS);

/** What the next one's name begins with. */
export const NEXT_NUMBER = String(Number(NEWEST.slice(0, 4)) + 1).padStart(4, '0');

/** The catalog that they make. */
export const SCHEMA = (JSON.parse(read('migrations/schema.snapshot.json')) as Snapshot).schema;

const EXPORTS = readdirSync(join(ROOT, 'test/fixtures/kasm'))
  .flatMap((file) => /^schema-(\d+\.\d+\.\d+)\.txt$/.exec(file)?.[1] ?? [])
  .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

/** The Kasm release, such as 1.19.0. */
export const KASM = last(EXPORTS);

/** What Kasm's Export Schema says of it, in compact form. */
export const EXPORT = join(ROOT, `test/fixtures/kasm/schema-${KASM}.txt`);

/** What the migrations leave in alembic_version; seed documents have to say the same. */
export const HEAD = last(
  MIGRATIONS.flatMap((name) =>
    [
      ...read('migrations', `${name}.sql`).matchAll(
        /(?:INTO|UPDATE)\s+(?:public\.)?alembic_version\b[^;]*'([0-9a-z]+)'\s*\)?\s*;/gi,
      ),
    ].map(([, head]) => head as string),
  ),
);
