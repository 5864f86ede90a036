import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Entrant, inArena, psqlCommand, race } from '../arena.js';
import type { Bench } from '../bench.js';
import type { Command } from '../peers/peer.js';
import { atMost, ratioTo } from '../shows.js';
import { timed } from '../support.js';

const USERS = 500;
const SETTINGS = 300;

type Rows = Record<string, Record<string, string>[]>;

export const seed: Bench = {
  name: 'seed',
  title: 'Seed',
  about: `kasm-db seeds a customer's document of ${USERS} users and ${SETTINGS} settings, each time into a new copy of a migrated database. The floor is psql, which writes the same rows by a script of INSERTs.`,
  run: (options) =>
    inArena(options, async (arena) => {
      const { server, ours } = arena;
      const [first] = ours;
      if (!first) throw new Error('kasm-db is not built: npm run build, npm run build:exe');
      const template = await server.newDatabase();
      const migrate = [...first.program, 'migrate', '--quiet'];
      await timed({ name: 'migrate', command: migrate, env: server.env(template) });
      const rows = someRows();
      const document = join(arena.folder, 'default_properties.yaml');
      const script = join(arena.folder, 'rows.sql');
      writeFileSync(document, asYaml(rows));
      writeFileSync(script, asSql(rows));
      const onCopy = (name: string, family: Entrant['family'], commandFor: (database: string) => Command): Entrant => {
        const entrant: Entrant = {
          name,
          family,
          command: [],
          before: async () => void Object.assign(entrant, commandFor(await server.newDatabase(template))),
        };
        return entrant;
      };
      return await race(
        arena,
        [
          onCopy('psql -X -1 -f rows.sql', 'floor', (database) => psqlCommand(arena, ['-1', '-f', script], database)),
          ...ours.map(({ name, family, program }) =>
            onCopy(name, family, (database) => ({
              command: [...program, 'seed', '--quiet', '--seeds', document],
              env: server.env(database),
            })),
          ),
        ],
        options.runs ?? 15,
      );
    }),
  shows: (findings) =>
    ['kasm-db (executable)', 'kasm-db (Node)'].map((name) =>
      atMost(`seed of ${USERS} users and ${SETTINGS} settings: ${name} to psql`, ratioTo(findings, name), 6),
    ),
};

function someRows(): Rows {
  const users = Array.from({ length: USERS }, (_, i) => ({
    user_id: randomUUID(),
    username: `person${i}@example.com`,
    realm: 'local',
    pw_hash: '0'.repeat(64),
    salt: randomUUID(),
    created: '2026-01-01 00:00:00',
    crypt_password: 'a'.repeat(512),
    crypt_salt: 'b'.repeat(512),
  }));
  const settings = Array.from({ length: SETTINGS }, (_, i) => ({
    setting_id: randomUUID(),
    category: 'custom',
    name: `name_${i}`,
    value: `value ${i}`,
    value_type: 'string',
  }));
  return { users, settings };
}

function asYaml(tables: Rows): string {
  const row = (values: Record<string, string>) =>
    `  - ${Object.entries(values)
      .map(([column, value]) => `${column}: '${value}'`)
      .join('\n    ')}\n`;
  const text = Object.entries(tables).map(([table, rows]) => `${table}:\n${rows.map(row).join('')}`);
  return `alembic_version: bfc22f00ad19\n${text.join('')}`;
}

function asSql(tables: Rows): string {
  return Object.entries(tables)
    .flatMap(([table, rows]) =>
      rows.map((row) => {
        const values = Object.values(row).map((value) => `'${value}'`);
        return `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.join(', ')});\n`;
      }),
    )
    .join('');
}
