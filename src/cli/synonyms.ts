/** What users of other tools type, and what it is here. */
const COMMANDS: Readonly<Record<string, string>> = {
  ...{ up: 'migrate', apply: 'migrate', upgrade: 'migrate', deploy: 'migrate', latest: 'migrate', run: 'migrate' },
  ...{ down: 'rollback', undo: 'rollback', downgrade: 'rollback', revert: 'rollback' },
  ...{ info: 'status', history: 'status', list: 'status', current: 'status' },
  ...{ validate: 'verify', diff: 'verify', drift: 'verify' },
  ...{ create: 'new', make: 'new', generate: 'new' },
  ...{ baseline: 'adopt', init: 'bootstrap', setup: 'bootstrap', wait: 'check --wait', ready: 'check' },
  ...{ version: '--version', dump: 'capture' },
  ...{ reset: 'rollback --to none', clean: 'rollback --to none', drop: 'rollback --to none' },
};

const OPTIONS: Readonly<Record<string, string>> = {
  ...{ '-v': '--verbose, or --version', '-V': '--version', '-q': '--quiet', '-n': '--dry-run' },
  ...{
    '--database': '--dbname',
    '--db': '--dbname',
    '-d': '--dbname',
    '--username': '--user',
    '-U': '--user',
    '-u': '--user',
  },
  ...{ '-p': '--port', '--hostname': '--host', '-H': '--host', '--timeout': '--lock-timeout, or --connect-timeout' },
  ...{
    '--path': '--migrations',
    '--dir': '--migrations',
    '--target': '--to',
    '--force': '--yes',
    '--format=json': '--json',
  },
  ...{ '--password': 'POSTGRES_PASSWORD_FILE in the environment', '-W': 'POSTGRES_PASSWORD_FILE in the environment' },
};

/** @returns what `word` is called here, undefined where nobody calls it so */
export function commandMeant(word: string): string | undefined {
  if (Object.hasOwn(COMMANDS, word)) return COMMANDS[word];
  // knex' migrate:latest, Rails' db:migrate.
  const [, part = ''] = /^(?:db|migrate|migration):(.+)$/.exec(word) ?? [];
  return ['migrate', 'rollback', 'status', 'seed'].includes(part) ? part : part && commandMeant(part);
}

/** The same of an option. */
export function optionMeant(flag: string): string | undefined {
  return Object.hasOwn(OPTIONS, flag) ? OPTIONS[flag] : undefined;
}
