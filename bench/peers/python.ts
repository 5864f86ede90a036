import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, cachedVersion, type Login, numbered, type Peer } from './peer.js';

const site = (name: string) => join(CACHE, name);
const connection = ({ host, port, user, password, database }: Login) => ({
  PGHOST: host,
  PGPORT: String(port),
  PGUSER: user,
  PGPASSWORD: password,
  PGDATABASE: database,
});

/** JSON's strings are Python's too, but for what stands outside the basic plane. */
const literal = (sql: string) => JSON.stringify(sql);

// The table is not called alembic_version: Kasm's schema has one of that name.
const ALEMBIC_ENV = `import os
from alembic import context
from sqlalchemy import URL, create_engine

url = URL.create("postgresql+psycopg", os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"],
                 int(os.environ["PGPORT"]), os.environ["PGDATABASE"])
with create_engine(url).connect() as connection:
    context.configure(connection=connection, version_table="alembic_bench", transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
`;

const DJANGO_SETTINGS = `import os

INSTALLED_APPS = ["kasm"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
    "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}}
`;

export const PYTHON: Peer[] = [
  {
    name: 'alembic',
    version: cachedVersion('alembic'),
    family: 'Python',
    installed: cachedVersion('alembic') !== '',
    files: () => [join(site('alembic'), 'lib')],
    write: (folder, steps) => {
      mkdirSync(join(folder, 'versions'), { recursive: true });
      writeFileSync(join(folder, 'alembic.ini'), `[alembic]\nscript_location = ${folder}\n`);
      writeFileSync(join(folder, 'env.py'), ALEMBIC_ENV);
      // The driver's own cursor: SQLAlchemy would take colons for parameters.
      for (const [i, { name, sql }] of steps.entries())
        writeFileSync(
          join(folder, 'versions', `${numbered(i, 6)}_${name}.py`),
          `from alembic import op\n\nrevision = "${numbered(i, 6)}"\ndown_revision = ${i === 0 ? 'None' : `"${numbered(i - 1, 6)}"`}\n\n\ndef upgrade():\n    op.get_bind().connection.cursor().execute(${literal(sql)})\n\n\ndef downgrade():\n    pass\n`,
        );
    },
    up: (folder, login) => ({
      command: [join(site('alembic'), 'bin/alembic'), '-c', join(folder, 'alembic.ini'), 'upgrade', 'head'],
      env: connection(login),
      cwd: folder,
    }),
    check: (folder, login) => ({
      command: [join(site('alembic'), 'bin/alembic'), '-c', join(folder, 'alembic.ini'), 'current', '--check-heads'],
      env: connection(login),
      cwd: folder,
    }),
  },
  {
    name: 'django',
    version: cachedVersion('django'),
    family: 'Python',
    installed: cachedVersion('django') !== '',
    files: () => [join(site('django'), 'lib')],
    write: (folder, steps) => {
      const app = join(folder, 'kasm');
      mkdirSync(join(app, 'migrations'), { recursive: true });
      writeFileSync(join(app, '__init__.py'), '');
      writeFileSync(join(app, 'migrations/__init__.py'), '');
      writeFileSync(join(folder, 'bench_settings.py'), DJANGO_SETTINGS);
      for (const [i, { name, sql }] of steps.entries()) {
        const before = i === 0 ? '' : `("kasm", "${numbered(i - 1, 6)}_${steps[i - 1]?.name}")`;
        writeFileSync(
          join(app, 'migrations', `${numbered(i, 6)}_${name}.py`),
          `from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [${before}]\n    operations = [migrations.RunSQL(${literal(sql)})]\n`,
        );
      }
    },
    up: (folder, login) => django(folder, login, ['migrate', '--verbosity=0']),
    check: (folder, login) => django(folder, login, ['migrate', '--check']),
  },
];

function django(folder: string, login: Login, args: string[]) {
  return {
    command: [join(site('django'), 'bin/python'), '-m', 'django', ...args],
    env: { ...connection(login), DJANGO_SETTINGS_MODULE: 'bench_settings', PYTHONPATH: folder },
    cwd: folder,
  };
}
