import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ROOT } from '../support.js';
import { type Command, type Login, numbered, type Peer, peerFile, type Step, url } from './peer.js';

const MODULES = join(ROOT, 'bench/node_modules');

function versionOf(name: string): string {
  const path = join(MODULES, name, 'package.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')).version as string) : '';
}

/** A package's folder and those of all that it needs, pg too, which some only name as a peer. */
function closure(...names: string[]): string[] {
  const found = new Set<string>();
  const visit = (name: string, from: string) => {
    const folder = createRequire(from)
      .resolve.paths(name)
      ?.map((path) => join(path, name))
      .find(existsSync);
    if (!folder || found.has(folder)) return;
    found.add(folder);
    const path = join(folder, 'package.json');
    const { dependencies = {} } = JSON.parse(readFileSync(path, 'utf8'));
    for (const dependency of Object.keys(dependencies)) visit(dependency, path);
  };
  for (const name of names) visit(name, join(ROOT, 'bench/package.json'));
  return [...found].filter(
    (folder) => ![...found].some((other) => other !== folder && dirname(folder).startsWith(`${other}/`)),
  );
}

const sqlFiles = (folder: string, steps: Step[]) => {
  for (const [i, { name, sql }] of steps.entries())
    writeFileSync(join(folder, `${numbered(i, 6)}_${name}.sql`), `${sql}\n`);
};

/** A library's few lines of program, in peers/. */
const script = (name: string, packageName: string, rest: Pick<Peer, 'write'>): Peer => ({
  name,
  version: versionOf(packageName),
  family: 'Node',
  installed: existsSync(join(MODULES, packageName)),
  files: () => closure(packageName, 'pg'),
  up: (folder, login) => ({ command: [process.execPath, peerFile(`${name}.mjs`), folder], env: connection(login) }),
  ...rest,
});

const connection = (login: Login) => ({ DATABASE_URL: url(login) });

export const NODE: Peer[] = [
  script('umzug', 'umzug', { write: sqlFiles }),
  script('knex', 'knex', { write: sqlFiles }),
  script('drizzle-orm', 'drizzle-orm', {
    write: (folder, steps) => {
      mkdirSync(join(folder, 'meta'), { recursive: true });
      const entries = steps.map(({ name }, idx) => ({
        ...{ idx, version: '7', when: 1_700_000_000_000 + idx },
        ...{ tag: `${numbered(idx, 4)}_${name}`, breakpoints: true },
      }));
      writeFileSync(
        join(folder, 'meta/_journal.json'),
        JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
      );
      for (const [i, { sql }] of steps.entries()) writeFileSync(join(folder, `${entries[i]?.tag}.sql`), sql);
    },
  }),
  {
    name: 'node-pg-migrate',
    version: versionOf('node-pg-migrate'),
    family: 'Node',
    installed: existsSync(join(MODULES, 'node-pg-migrate')),
    files: () => closure('node-pg-migrate', 'pg'),
    write: (folder, steps) => {
      for (const [i, { name, sql }] of steps.entries())
        writeFileSync(join(folder, `${1_700_000_000_000 + i}_${name}.sql`), `-- Up Migration\n${sql}\n`);
    },
    up: (folder, login): Command => ({
      command: [
        process.execPath,
        join(MODULES, 'node-pg-migrate/bin/node-pg-migrate.js'),
        ...['up', '-m', folder, '--no-single-transaction'],
      ],
      env: connection(login),
      cwd: folder,
    }),
  },
  {
    name: 'graphile-migrate',
    version: versionOf('graphile-migrate'),
    family: 'Node',
    installed: existsSync(join(MODULES, 'graphile-migrate')),
    files: () => closure('graphile-migrate'),
    write: (folder, steps) => {
      const committed = join(folder, 'migrations/committed');
      mkdirSync(committed, { recursive: true });
      writeFileSync(join(folder, 'migrations/current.sql'), '');
      writeFileSync(join(folder, '.gmrc'), JSON.stringify({ migrationsFolder: join(folder, 'migrations') }));
      let previous = '';
      for (const [i, { name, sql }] of steps.entries()) {
        // As it computes them itself (its src/hash.ts): what stands before the body, and the body.
        const hash = `sha1:${createHash('sha1')
          .update(`${`${previous}\n${sql.trim()}`.trim()}\n`)
          .digest('hex')}`;
        writeFileSync(
          join(committed, `${numbered(i, 6)}-${name}.sql`),
          `--! Previous: ${previous || '-'}\n--! Hash: ${hash}\n--! Message: ${name}\n\n${sql.trim()}\n`,
        );
        previous = hash;
      }
    },
    up: (folder, login): Command => ({
      command: [
        process.execPath,
        join(MODULES, 'graphile-migrate/dist/cli.js'),
        ...['migrate', '--config', join(folder, '.gmrc')],
      ],
      env: {
        DATABASE_URL: url(login),
        SHADOW_DATABASE_URL: url({ ...login, database: `${login.database}_shadow` }),
        ROOT_DATABASE_URL: url({ ...login, database: 'postgres' }),
      },
      cwd: folder,
    }),
  },
];
