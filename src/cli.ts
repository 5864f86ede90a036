import { Command, CommanderError, Option } from 'commander';
import type { Answer, CommandContext, GlobalOptions } from './commands/command.js';
import { KasmDbError } from './errors.js';
import { stdout } from './report/streams.js';
import { VERSION } from './version.js';

/** What the command line asked for. */
export interface Call {
  command: string;
  options: GlobalOptions & OutputOptions;
  writes: boolean;
  /** Needs no database. */
  offline: boolean;
  work: (ctx: CommandContext) => Promise<Answer>;
}

export interface OutputOptions {
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  color?: boolean;
}

/**
 * Reads the arguments. Commands are imported only when they are called.
 * @returns undefined when help or the version was printed
 * @throws KasmDbError usage
 */
export function parse(argv: readonly string[]): Call | undefined {
  let call: Call | undefined;
  const program = new Command('kasm-db');
  const on = <O>(
    command: Command,
    settings: { writes?: boolean; offline?: boolean },
    load: (args: string[], options: O) => (ctx: CommandContext) => Promise<Answer>,
  ) =>
    command.action((...args: unknown[]) => {
      const options = command.optsWithGlobals() as O & Call['options'];
      const names = args.slice(0, command.registeredArguments.length) as string[];
      call = {
        command: command.name(),
        options,
        writes: settings.writes ?? false,
        offline: settings.offline ?? false,
        work: load(names, options),
      };
    });

  program
    .description("Applies and checks the schema of Kasm Workspaces' database.")
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: () => {} })
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    .addHelpText('after', HELP_TAIL);
  for (const option of globalOptions()) program.addOption(option);

  const meant = onlyCommand(argv);
  const command = (name: string) => (meant === undefined || meant === name ? program.command(name) : NOT_MEANT);

  on(
    command('migrate')
      .description('bring the database to the newest version this build knows')
      .option('--to <name>', 'last migration to apply')
      .option('--dry-run', 'say what would be done, and do nothing')
      .option('--bootstrap', 'first what bootstrap does, with the admin login')
      .option('--gate-role <name>', 'with --bootstrap: also a role for the gates')
      .option('--seed', 'then write default rows and the credentials from Secrets')
      .option('--lock-timeout <duration>', 'wait for another migrator or a table lock (default 5m)')
      .option('--check', 'the same as the command check'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/migrate.js')).migrateCommand(ctx, options as object),
  );
  on(
    command('check')
      .description('is everything this build needs applied? Never writes')
      .option('--wait [duration]', 'keep looking until yes, or the time is up (without one: for ever)')
      .option('--seed', 'also: is it seeded, by this or a newer build?')
      .option('--fail-fast', 'give up when the migrator has failed'),
    {},
    (_, options) => async (ctx) => (await import('./commands/check.js')).checkCommand(ctx, options as object),
  );
  on(
    command('seed')
      .description('write default rows and the credentials from Secrets; safe to repeat')
      .option('--dry-run', 'say what would be done, and do nothing')
      .option('--rotate <keys>', 'apply changed Secrets: keys separated by commas, or all')
      .option('--force', 'with --rotate: also settings that kasm-db did not write')
      .option('--lock-timeout <duration>', 'wait for another migrator (default 5m)'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/seed.js')).seedCommand(ctx, options as object),
  );
  on(
    command('status').description('applied, pending, unknown, changed; the last run; who holds the lock'),
    {},
    () => async (ctx) => (await import('./commands/status.js')).statusCommand(ctx),
  );
  on(
    command('plan')
      .description('what migrate would do, in order')
      .option('--to <name>', 'last migration to apply')
      .option('--sql', 'print the SQL'),
    {},
    (_, options) => async (ctx) => (await import('./commands/plan.js')).planCommand(ctx, options as object),
  );
  on(
    command('rollback')
      .description('run down scripts, last applied first; needs one of --to and --steps')
      .option('--to <name>', 'migration that stays applied; what is newer is undone (none: everything)')
      .option('--steps <n>', 'how many to undo')
      .option('--allow-data-loss', 'also when tables or columns that hold something are dropped')
      .option('--dry-run', 'check everything, say what would be done, and do nothing')
      .option('--lock-timeout <duration>', 'wait for another migrator or a table lock (default 5m)'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/rollback.js')).rollbackCommand(ctx, options as object),
  );
  on(
    command('repair')
      .description(
        'after a fix by hand: corrects the history, drops invalid indexes; shows what it will change, and asks',
      )
      .option('--applied <name>', 'record it as applied, without running it')
      .option('--pending <name>', 'record it as not applied')
      .option('--statements-done <n>', 'with --pending, of a no-transaction migration: go on after so many statements')
      .option('--checksums', 'accept changed files as they are')
      .option('--yes', "don't ask")
      .option('--lock-timeout <duration>', 'wait for another migrator (default 5m)'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/repair.js')).repairCommand(ctx, options as object),
  );
  on(
    command('bootstrap')
      .description('with DATABASE_MASTER_USER and _PASSWORD: role, database, extension, history, grants')
      .option('--dry-run', 'print the SQL, passwords hidden, and do nothing')
      .option('--gate-role <name>', 'also a role for the gates, which may read the history and nothing else'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/bootstrap.js')).bootstrapCommand(ctx, options as object),
  );
  on(
    command('doctor').description('preflight of everything migrate needs; a line each, with the fix'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/doctor.js')).doctorCommand(ctx, options as object),
  );
  on(
    command('adopt')
      .description('take over a database that Kasm itself has made: compare, then record without running')
      .option('--dry-run', 'say what differs and what would be recorded, and do nothing')
      .option('--allow-differences', 'accept differences that matter; they are stored, so that verify knows them')
      .option('--add-missing', 'make the indexes that are missing, and nothing else')
      .option('--lock-timeout <duration>', 'wait for another migrator (default 5m)'),
    { writes: true },
    (_, options) => async (ctx) => (await import('./commands/schema.js')).adoptCommand(ctx, options as object),
  );
  on(
    command('verify')
      .description('drift: compare the live catalog with what the migrations make; never writes')
      .option('--against <file>', "compare with Kasm's own Export Schema file instead")
      .option('--fix-sql', 'print the statements that would bring it back, and do nothing'),
    {},
    (_, options) => async (ctx) => (await import('./commands/schema.js')).verifyCommand(ctx, options as object),
  );
  on(
    command('capture')
      .description("write a migration that makes the live database's catalog")
      .option('--out <file>', 'where to; a name in .json gets a snapshot for verify'),
    {},
    (_, options) => async (ctx) => (await import('./commands/schema.js')).captureCommand(ctx, options as object),
  );
  on(
    command('docs')
      .description('the schema for people: of the database that is named, else of the one that the migrations make')
      .option('--format <format>', 'html (default), mermaid or markdown')
      .option('--out <file>', 'where to (default: stdout)'),
    {},
    (_, options) => async (ctx) => (await import('./commands/docs.js')).docsCommand(ctx, options as object),
  );
  on(
    command('lint')
      .description('what is unsafe in migrations, before they are applied; needs no database')
      .argument('[files...]', 'migrations to look at (default: all of the folder, as one first installation)')
      .option('--applied <name>', 'newest migration that databases have; look only at what comes after'),
    { offline: true },
    ([files], options) =>
      async () =>
        (await import('./commands/lint.js')).lintCommand((files ?? []) as unknown as string[], options as object),
  );
  on(
    command('new')
      .description('create the next migration and its down script')
      .argument('<name>', 'such as add_users_locale')
      .option('--no-transaction', 'the file runs statement by statement')
      .option('--from-export <file>', "write what leads from the newest snapshot to Kasm's Export Schema file"),
    { offline: true },
    ([name], options) =>
      async () =>
        (await import('./commands/new.js')).newCommand(name as string, options as object),
  );

  try {
    program.parse(withCheckCommand(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const message = withoutValues(error.message.replace(/^error: /, ''));
    if (error.code === 'commander.help') {
      throw new KasmDbError('usage', 'no command is given', {
        hint: 'kasm-db --help lists them; kasm-db migrate is the usual one',
      });
    }
    throw new KasmDbError('usage', message, {
      hint: 'kasm-db --help lists the commands, kasm-db COMMAND --help their options',
    });
  }
  return call;
}

/** An argument in the wrong place may be a URL with a password, and a wrong option may carry one. */
function withoutValues(message: string): string {
  return message.replace(/\w+:\/\/[^\s']*/g, '(a URL)').replace(/(--?[\w-]+)=[^\s']*/g, '$1=…');
}

/**
 * The one command that these arguments can mean: the others need not be set up, which takes longer than all else here.
 * @returns undefined when they may mean any, or ask for help
 */
function onlyCommand(argv: readonly string[]): string | undefined {
  const args = withCheckCommand(argv);
  const named = COMMANDS.filter((name) => args.includes(name));
  return named.length === 1 && named[0] !== 'help' && args[0] === named[0] ? named[0] : undefined;
}

/** Takes every call and does nothing. */
const NOT_MEANT = new Proxy({} as Command, { get: () => () => NOT_MEANT });

/** The command in the arguments, as far as it is one: for the result of a call that was refused. */
export function calledCommand(argv: readonly string[]): string {
  if (argv.includes('--check')) return 'check';
  return argv.find((arg, i) => COMMANDS.includes(arg) && !TAKES_VALUE.has(argv[i - 1] ?? '')) ?? '';
}

const COMMANDS = [
  'migrate',
  'check',
  'status',
  'plan',
  'rollback',
  'repair',
  'seed',
  'bootstrap',
  'doctor',
  'adopt',
  'verify',
  'capture',
  'docs',
  'lint',
  'new',
  'help',
];

function globalOptions(): Option[] {
  return [
    new Option('--url <url>', 'postgres://USER@HOST:PORT/DATABASE?sslmode=MODE, without password'),
    new Option('--host <host>', 'server; several with commas, tried in order'),
    new Option('--port <port>', 'its port (default 5432)'),
    new Option('--dbname <name>', 'database'),
    new Option('--user <name>', 'login'),
    new Option('--sslmode <mode>', 'as in libpq (default prefer)'),
    new Option('--target-session-attrs <kind>', 'as in libpq: which of several hosts will do'),
    new Option('--direct-url <url>', 'way around a pooler, for commands that write'),
    new Option('--role <name>', 'role to work as (SET ROLE)'),
    new Option('--connect-timeout <duration>', 'keep trying to connect (default 10s)'),
    new Option('--migrations <dir>', 'folder of migrations (default: those that ship with kasm-db)'),
    new Option('--seeds <path>', 'seed document or folder of them (default: those that ship with kasm-db)'),
    new Option('--secrets <dir>', 'mounted Secret, a file a key (default: KASM_DB_SECRETS_DIR)'),
    new Option('--embedded [dir]', 'run on a private PostgreSQL 16 in this folder (default .kasm-db/postgres)'),
    new Option('--json', 'print one JSON object'),
    new Option('--quiet', 'print no progress'),
    new Option('--verbose', 'print notices and stacks'),
    new Option('--no-color', 'no colours'),
  ];
}

const HELP_TAIL = `
Examples:
  kasm-db migrate --embedded          try it without a server
  kasm-db migrate                     with POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD_FILE set
  kasm-db --check --wait 10m          in an init container
  kasm-db plan --json                 in CI

Exit codes: 0 ok, 1 internal, 2 usage, 3 pending, 4 unreachable, 5 locked, 6 integrity, 7 failed, 8 seed,
9 environment, 130/143 interrupted. docs/TROUBLESHOOTING.md explains each.`;

const TAKES_VALUE = new Set(globalOptions().flatMap((option) => (option.required ? [option.long as string] : [])));

/** `kasm-db --check …` and `kasm-db migrate --check …` are the command check. */
function withCheckCommand(argv: readonly string[]): string[] {
  if (!argv.includes('--check')) return [...argv];
  const rest = argv.filter((arg) => arg !== '--check');
  const at = rest.findIndex((arg, i) => arg === 'migrate' && !TAKES_VALUE.has(rest[i - 1] ?? ''));
  if (at >= 0) rest.splice(at, 1);
  return rest.includes('check') ? rest : ['check', ...rest];
}
