import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';
import { SECRET_MARK } from '../support/folder-setup.js';
import { processorMs, watchMemory, watchProcessor } from '../support/memory.js';
import { HEAD } from '../support/release.js';
import { busy } from '../support/time.js';

const VERSION = `alembic_version: ${HEAD}\n`;
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
  'a map of 150,000 columns': [
    `${VERSION}users:\n- ${Array.from({ length: 150_000 }, (_, i) => `a${i}: 1\n  `).join('')}\n`,
    /more than 1,000,000 parts/,
  ],
  'a list of 2,000,000 in one line': [`${VERSION}users: [${'1,'.repeat(2_000_000)}]\n`, /more than 1,000,000 parts/],
  'an alias of a long text, 900 times': [
    `${VERSION}users:\n- username: &a "${'x'.repeat(2_000_000)}"\n${'- username: *a\n'.repeat(900)}`,
    /with its aliases the document is larger than 32 MB/,
  ],
  'an alias of a long list, 900 times': [
    `${VERSION}settings:\n- name: &a [${'1,'.repeat(100_000)}]\n  value: [${'*a,'.repeat(900)}]\n`,
    /with its aliases the document is larger than 32 MB/,
  ],
  '300,000 anchors of a value': [`${VERSION}users:\n- ${'&a '.repeat(300_000)}x\n`, /more than 1,000 anchors/],
  'lists 50,000 deep, and closed': [
    `${VERSION}users:\n- username: ${'['.repeat(50_000)}${']'.repeat(50_000)}\n`,
    /more than 100 levels/,
  ],
  'a column twice': [`${VERSION}users:\n- username: x\n  username: y\n`, /:4: not YAML: Map keys must be unique/],
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

  it('a folder of documents that fit one by one, but not together', async () => {
    const text = `${VERSION}settings:\n${'- {name: x}\n'.repeat(15_000)}`;
    const files = Array.from({ length: 10 }, (_, i) => [`${i}.yaml`, text]);
    const args = ['seed', '--dry-run', '--json', '--seeds', folder(Object.fromEntries(files))];
    expect((await startCli(args, db.env).ended).json()).toMatchObject({
      outcome: 'seed',
      error: { message: expect.stringMatching(/together hold more than 40,000 rows or 16 MB/) },
    });
  });

  const CELLS = Array.from({ length: 19_900 }, (_, i) => [`n${i}`, `c${i}`, 'v', 'x', 'string']);
  const COLUMNS = ['name', 'category', 'value', 'title', 'value_type'];
  it.each([
    ['as lists of lines', CELLS.map((cells) => `- ${COLUMNS.map((name, i) => `${name}: ${cells[i]}`).join('\n  ')}\n`)],
    ['as one line each', CELLS.map((cells) => `- {${COLUMNS.map((name, i) => `${name}: ${cells[i]}`).join(', ')}}\n`)],
  ])('nearly 20,000 rows %s are taken, and SIGTERM is heard all the while', { timeout: 600_000 }, async (_, rows) => {
    const path = join(folder({ 'x.yaml': `${VERSION}settings:\n${rows.join('')}` }), 'x.yaml');
    const start = () => startCli(['seed', '--dry-run', '--json', '--seeds', path], db.env);
    const undisturbed = start();
    const worked = watchProcessor(undisturbed.child);
    expect((await undisturbed.ended).json()).toMatchObject({ outcome: 'ok', seed: { inserted: 19_900 } });
    for (const part of [0.2, 0.5, 0.8]) {
      const ms = part * worked();
      const cli = start();
      await waitFor(async () => (processorMs(cli.child) >= ms ? [1] : []), `${ms} ms of work`);
      const sent = performance.now();
      cli.child.kill('SIGTERM');
      const ended = await cli.ended;
      expect([ended.code, ended.signal], ended.stderr).toEqual([143, null]);
      expect(ended.json()).toMatchObject({ outcome: 'interrupted' });
      expect(performance.now() - sent).toBeLessThan(busy(2000));
    }
  });

  it('variables that make libraries talk are not ours: nothing else is printed', async () => {
    const path = join(folder({ 'x.yaml': `${VERSION}users:\n- username: ${SECRET_MARK}\n` }), 'x.yaml');
    const env = { LOG_TOKENS: '1', LOG_STREAM: '1', DEBUG: '*', NODE_PG_FORCE_NATIVE: '1' };
    const redis = { KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: '1', KASM_DB_REDIS_PASSWORD: SECRET_MARK };
    const ended = await startCli(['seed', '--dry-run', '--json', '--seeds', path], { ...db.env, ...env }).ended;
    expect(ended.json()).toMatchObject({ outcome: 'seed' });
    const gate = await startCli(['check', '--wait', '1s', '--json'], { ...db.env, ...env, ...redis }).ended;
    expect(gate.json()).toMatchObject({ outcome: 'ok' });
    const notifier = await startCli(['migrate', '--json'], { ...db.env, ...env, ...redis }).ended;
    expect(notifier.json()).toMatchObject({ outcome: 'ok' });
    expect(`${ended.stderr}${gate.stderr}${notifier.stderr}`).not.toMatch(new RegExp(`ioredis|${SECRET_MARK}`));
  });
});
