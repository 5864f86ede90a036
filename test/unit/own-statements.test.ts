import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

/** Places outside of src/postgres that use the driver itself, and why that is safe. */
const EXCEPTIONS: Record<string, string> = {
  'embedded/embedded.ts': 'the private server of --embedded, in its database postgres, before anybody else has a login',
  'schema/introspect.ts': "one message with many results, within a Session's transaction",
};

function users(pattern: RegExp): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('postgres/'))
    .filter((file) => pattern.test(readFileSync(join(SRC, file), 'utf8')))
    .sort();
}

/** A statement outside of Session's transactions would see whatever search_path role and database have set (CVE-2018-1058). */
describe('src › statements run in transactions of a Session alone', () => {
  it.each([
    ['query of a driver’s client', /\bclient\s*\.query\b|new pg\.Query\b/],
    ['a client of the driver', /new (pg\.)?Client\(|import type \{ Client \} from '.*postgres\/client\.js'/],
    ['what sends a script', /from '.*postgres\/(script|copy)\.js'/],
  ])('%s', (_, pattern) => {
    expect(users(pattern).filter((file) => !(file in EXCEPTIONS))).toEqual([]);
  });

  it('each exception is one', () => {
    expect(users(/\bclient\s*\.query\b/)).toEqual(Object.keys(EXCEPTIONS));
  });

  it('search_path is set in one place', () => {
    expect(users(/SET (LOCAL )?search_path/)).toEqual(['schema/introspect.ts']);
  });
});
