import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, cachedVersion, type Login, numbered, type Peer } from './peer.js';

const jdbc = ({ host, port, database }: Login) => `jdbc:postgresql://${host}:${port}/${database}`;
const home = (name: string) => join(CACHE, name);

export const JVM: Peer[] = [
  {
    name: 'flyway',
    version: cachedVersion('flyway'),
    family: 'JVM',
    installed: cachedVersion('flyway') !== '',
    files: () => [home('flyway')],
    write: (folder, steps) => {
      for (const [i, { name, sql }] of steps.entries())
        writeFileSync(join(folder, `V${i + 1}__${name}.sql`), `${sql}\n`);
    },
    up: (folder, login) => ({
      command: [
        'java',
        '-cp',
        `${home('flyway')}/*:${home('flyway')}`,
        'FlywayMigrate',
        jdbc(login),
        login.user,
        folder,
      ],
      env: { PGPASSWORD: login.password },
    }),
  },
  {
    name: 'liquibase',
    version: cachedVersion('liquibase'),
    family: 'JVM',
    installed: cachedVersion('liquibase') !== '',
    files: () => [home('liquibase')],
    write: (folder, steps) => {
      for (const [i, { name, sql }] of steps.entries())
        writeFileSync(
          join(folder, `${numbered(i, 6)}_${name}.sql`),
          `--liquibase formatted sql\n--changeset bench:${name} splitStatements:false\n${sql}\n`,
        );
      const includes = steps.map(({ name }, i) => `  - include: {file: ${numbered(i, 6)}_${name}.sql}`).join('\n');
      writeFileSync(join(folder, 'changelog.yaml'), `databaseChangeLog:\n${includes}\n`);
    },
    up: (folder, login) => ({
      command: [
        ...['java', '-cp', `${home('liquibase')}/*`, 'liquibase.integration.commandline.Main'],
        ...[`--url=${jdbc(login)}`, `--username=${login.user}`, `--password=${login.password}`],
        ...['--changeLogFile=changelog.yaml', `--classpath=${folder}`, 'update'],
      ],
      cwd: folder,
    }),
  },
];
