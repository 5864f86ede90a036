import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXECUTABLE, KASM_DB, ROOT } from '../support.js';
import { type Login, numbered, type Peer } from './peer.js';

const version = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;

const login = ({ host, port, user, password, database }: Login) => ({
  POSTGRES_HOST: host,
  POSTGRES_PORT: String(port),
  POSTGRES_USER: user,
  POSTGRES_PASSWORD: password,
  POSTGRES_DB: database,
  PGSSLMODE: 'disable',
});

/** kasm-db with the migrations that ship with it. */
export interface Ours extends Peer {
  program: string[];
}

const kasmDb = (name: string, program: string[], files: () => string[], installed: boolean): Ours => ({
  name,
  program,
  version,
  family: 'kasm-db',
  installed,
  files,
  write: (folder, steps) => {
    for (const [i, step] of steps.entries())
      writeFileSync(join(folder, `${numbered(i, 4)}_${step.name}.sql`), `${step.sql}\n`);
  },
  up: (folder, to) => ({ command: [...program, 'migrate', '--quiet', '--migrations', folder], env: login(to) }),
  check: (folder, to) => ({ command: [...program, '--check', '--quiet', '--migrations', folder], env: login(to) }),
});

/** As the two ways to have it. */
export const OURS: Ours[] = [
  kasmDb('kasm-db (executable)', [EXECUTABLE], () => [EXECUTABLE], existsSync(EXECUTABLE)),
  kasmDb(
    'kasm-db (Node)',
    KASM_DB,
    () => ['dist', 'migrations', 'seeds'].map((folder) => join(ROOT, folder)),
    existsSync(KASM_DB[1] as string),
  ),
];
