import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { folder } from '../support/folder.js';
import { watchMemory } from '../support/memory.js';

const VERSION = 'alembic_version: bfc22f00ad19\n';
const nested = (depth: number) =>
  Array.from({ length: depth }, (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(i === 0 ? 0 : 9)}x]\n`).join('');

/** Documents that are not what they should be, and what is said of each. */
const DOCUMENTS: Record<string, [text: string, says: RegExp]> = {
  'a billion laughs': [
    `${VERSION}settings:\n- name: &a0 [x]\n${Array.from({ length: 9 }, (_, i) => `  v${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]\n`).join('')}`,
    /./,
  ],
  'a billion laughs at the top': [`${VERSION}${nested(9)}`, /./],
  '200,000 aliases of a row': [
    `${VERSION}users:\n- &a {username: x}\n${'- *a\n'.repeat(200_000)}`,
    /more than 20,000 rows|more than 1,000 aliases/,
  ],
  '5,000 aliases of a value': [
    `${VERSION}users:\n- username: &a x\n${'- username: *a\n'.repeat(5000)}`,
    /more than 1,000 aliases/,
  ],
  '50,000 tags': [
    `${VERSION}users:\n${Array.from({ length: 15_000 }, (_, i) => `- username: !t${i} x\n  first_name: !u${i} x\n`).join('')}`,
    /more than 1,000 tags/,
  ],
  '100,000 rows': [`${VERSION}users:\n${'- username: x\n'.repeat(100_000)}`, /more than 20,000 rows/],
  'lists a thousand deep': [`${VERSION}users:\n- username: ${'['.repeat(1000)}${']'.repeat(1000)}\n`, /./],
  'lists 100,000 deep': [`${VERSION}users:\n- username: ${'['.repeat(100_000)}\n`, /./],
  'an anchor that contains itself': [`${VERSION}users:\n- username: &a [*a]\n`, /./],
  'a table __proto__': [`${VERSION}__proto__:\n- a: 1\n`, /__proto__/],
  'a table constructor': [`${VERSION}constructor:\n- a: 1\n`, /constructor/],
  'a table toString': [`${VERSION}toString:\n- a: 1\n`, /toString/],
  'a column __proto__': [`${VERSION}users:\n- username: x\n  __proto__: 1\n`, /__proto__/],
  'a column constructor': [`${VERSION}users:\n- username: x\n  constructor: 1\n`, /constructor/],
  'a column hasOwnProperty': [`${VERSION}groups:\n- name: x\n  hasOwnProperty: 1\n`, /hasOwnProperty/],
  'a merge key': [`${VERSION}users:\n- &a {username: x}\n- <<: *a\n`, /./],
  'a token of a name of JavaScript': [
    `${VERSION}users:\n- username: \${__proto__}\n- username: \${constructor:x}\n`,
    /./,
  ],
};

describe.concurrent('a seed document that is none › exit 8 with words, within its time', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase();
    const run = await startCli(['migrate', '--json'], db.env).ended;
    expect(run.json().outcome).toBe('ok');
  });

  it.each(Object.entries(DOCUMENTS))('%s', async (_, [text, says]) => {
    const path = join(folder({ 'x.yaml': text }), 'x.yaml');
    const cli = startCli(['seed', '--dry-run', '--json', '--seeds', path], db.env);
    const megabytes = watchMemory(cli.child);
    const ended = await cli.ended;
    const result = ended.json();
    expect([ended.code, result.outcome], `${ended.stderr.slice(0, 2000)}`).toEqual([8, 'seed']);
    expect(result.error?.message).toMatch(says);
    expect(megabytes()).toBeLessThan(400);
  });
});
