import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitStatements } from '../../src/postgres/statements.js';
import { CACHE, type Command, cachedVersion, type Login, numbered, type Peer, type Step, url } from './peer.js';

const bin = (name: string) => join(CACHE, 'bin', name);

/** A peer that is one compiled file. */
function compiled(
  name: string,
  family: 'Go' | 'Rust',
  program: string,
  rest: Pick<Peer, 'write'> & Partial<Peer> & { run(folder: string, login: Login): Command },
): Peer {
  const { run, ...more } = rest;
  return {
    name,
    family,
    version: cachedVersion(name),
    installed: existsSync(bin(program)),
    files: () => [bin(program)],
    ...more,
    up: (folder, login) => {
      const { command, ...others } = run(folder, login);
      return { command: [bin(program), ...command], ...others };
    },
  };
}

const plain = (nameOf: (step: Step, i: number) => string) => (folder: string, steps: Step[]) => {
  for (const [i, step] of steps.entries()) writeFileSync(join(folder, nameOf(step, i)), `${step.sql}\n`);
};

export const NATIVE: Peer[] = [
  compiled('goose', 'Go', 'goose', {
    write: (folder, steps) => {
      // Its own splitting knows no function bodies; each statement is marked, as its manual says.
      for (const [i, { name, sql }] of steps.entries()) {
        const marked = [...splitStatements(sql)].map(
          ({ start, end }) => `-- +goose StatementBegin\n${sql.slice(start, end)};\n-- +goose StatementEnd\n`,
        );
        writeFileSync(join(folder, `${numbered(i, 5)}_${name}.sql`), `-- +goose Up\n${marked.join('')}`);
      }
    },
    run: (folder, login) => ({
      command: ['-dir', folder, 'up'],
      env: { GOOSE_DRIVER: 'postgres', GOOSE_DBSTRING: url(login, '?sslmode=disable') },
    }),
  }),
  compiled('golang-migrate', 'Go', 'migrate', {
    write: plain(({ name }, i) => `${numbered(i, 6)}_${name}.up.sql`),
    run: (folder, login) => ({ command: ['-path', folder, '-database', url(login, '?sslmode=disable'), 'up'] }),
  }),
  compiled('tern', 'Go', 'tern', {
    write: plain(({ name }, i) => `${numbered(i, 4)}_${name}.sql`),
    run: (folder, login) => ({
      command: ['migrate', '-m', folder, '--conn-string', url(login, '?sslmode=disable')],
    }),
  }),
  compiled('dbmate', 'Go', 'dbmate', {
    write: (folder, steps) => {
      for (const [i, { name, sql }] of steps.entries())
        writeFileSync(join(folder, `${numbered(i, 6)}_${name}.sql`), `-- migrate:up\n${sql}\n`);
    },
    run: (folder, login) => ({
      command: ['--no-dump-schema', '-d', folder, 'migrate'],
      env: { DATABASE_URL: url(login, '?sslmode=disable') },
    }),
  }),
  compiled('sqlx', 'Rust', 'sqlx', {
    write: plain(({ name }, i) => `${numbered(i, 6)}_${name}.sql`),
    run: (folder, login) => ({
      command: ['migrate', 'run', '--source', folder],
      env: { DATABASE_URL: url(login, '?sslmode=disable') },
    }),
  }),
];
