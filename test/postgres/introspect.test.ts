import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';
import { diff } from '../../src/schema/diff.js';
import type { Schema } from '../../src/schema/model.js';
import { introspected, introspectOn } from '../fixtures/schema/introspected.js';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase, VERSIONS } from '../support/database.js';
import { SCHEMA } from '../support/release.js';

const HARD = readFileSync(join(import.meta.dirname, '../fixtures/schema/hard.sql'), 'utf8');
const hard = new Map<number, Schema>();

describe.each(VERSIONS)('PostgreSQL %i › introspection', (version) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase(version);
    await db.query(HARD);
    hard.set(version, await introspected(db));
  });

  it('gives the same for a schema with one of everything, whatever the version', () => {
    expect(hard.get(version)).toEqual(hard.get(13));
    expect(hard.get(version)?.tables).toHaveLength(17);
    expect(hard.get(version)?.others).toEqual([]);
  });

  it('compares without a difference', () => {
    expect(diff(hard.get(13) as Schema, hard.get(version) as Schema)).toEqual([]);
  });

  it('reads the whole Kasm schema in a handful of messages', async () => {
    const kasm = await createDatabase(version);
    expect((await cli(['migrate', '--json'], kasm.env)).code).toBe(0);
    const client = await kasm.connect();
    let messages = 0;
    const send = client.query.bind(client) as (...args: never[]) => never;
    client.query = ((...args: never[]) => {
      messages++;
      return send(...args);
    }) as never;
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      expect((await introspectOn(client)).tables).toHaveLength(SCHEMA.tables.length);
      times.push(performance.now() - started);
    }
    expect(messages / times.length).toBe(5);
    await client.end();
    console.log(`PostgreSQL ${version}: introspection of the Kasm schema ${Math.round(Math.min(...times))} ms`);
  });
});
