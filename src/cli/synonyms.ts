/** What users of other tools type, by what it is here. */
const COMMANDS = byWord({
  migrate: 'up apply upgrade deploy latest run',
  rollback: 'down undo downgrade revert',
  'rollback --to none': 'reset clean drop',
  status: 'info history list current',
  verify: 'validate diff drift',
  new: 'create make generate',
  adopt: 'baseline',
  bootstrap: 'init setup',
  check: 'ready',
  'check --wait': 'wait',
  capture: 'dump',
  '--version': 'version',
});

/** The same of options. */
export const OPTIONS_MEANT = byWord({
  '--verbose, or --version': '-v',
  '--version': '-V',
  '--quiet': '-q',
  '--dry-run': '-n',
  '--dbname': '--database --db -d',
  '--user': '--username -U -u',
  '--port': '-p',
  '--host': '--hostname -H',
  '--lock-timeout, or --connect-timeout': '--timeout',
  '--migrations': '--path --dir',
  '--to': '--target',
  '--yes': '--force',
  'POSTGRES_PASSWORD_FILE in the environment': '--password -W',
});

function byWord(synonyms: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(synonyms).flatMap(([meant, words]) => words.split(' ').map((word) => [word, meant])));
}

/** @returns what `word` is called here, undefined where nobody calls it so */
export function commandMeant(word: string): string | undefined {
  const meant = COMMANDS.get(word);
  if (meant) return meant;
  // knex' migrate:latest, Rails' db:migrate.
  const [, part = ''] = /^(?:db|migrate|migration):(.+)$/.exec(word) ?? [];
  return ['migrate', 'rollback', 'status', 'seed'].includes(part) ? part : part && commandMeant(part);
}
