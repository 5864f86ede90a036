import { checkCommand } from '../commands/check.js';
import { FORMATS } from '../schema-docs/formats.js';
import type { CommandSpec, OptionSpec } from './spec.js';

const LOCK_TIMEOUT: OptionSpec = [
  '--lock-timeout <duration>',
  'wait for another migrator or a table lock (default 5m)',
];
/** For commands that change no table of Kasm. */
const MIGRATOR_TIMEOUT: OptionSpec = ['--lock-timeout <duration>', 'wait for another migrator (default 5m)'];
const DRY_RUN: OptionSpec = ['--dry-run', 'say what would be done, and do nothing'];

const RUN = 'Commands to set up';
const LOOK = 'Commands that change nothing';
const REPAIR = 'Commands to undo and repair';
const AUTHOR = 'Commands for authors of migrations';

/** What kasm-db does, in the order of the help. A command is read when it is called; check, which is called most, at once. */
export const WORK: readonly CommandSpec[] = [
  {
    name: 'migrate',
    group: RUN,
    text: 'bring the database to the newest version this build knows',
    options: [
      ['--to <name>', 'last migration to apply, by name or number', 'migration'],
      DRY_RUN,
      ['--bootstrap', 'first what bootstrap does, with the admin login'],
      ['--gate-role <name>', 'with --bootstrap: also a role for the gates'],
      ['--seed', 'then write default rows and the credentials from Secrets'],
      [
        '--cancel-blockers <duration>',
        'end sessions that are idle in a transaction for longer and hold a table it needs',
      ],
      ['--expect-existing', 'stop where there is no history yet: an upgrade never initialises an empty database'],
      ['--require-empty', 'stop where there is a history or a table already: for first installations'],
      ['--verify', 'stop where the schema is not what the migrations make; pending ones are rehearsed for it'],
      LOCK_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/migrate.js')).migrateCommand(ctx, options),
  },
  {
    name: 'seed',
    group: RUN,
    text: 'write default rows and the credentials from Secrets; safe to repeat',
    options: [
      DRY_RUN,
      [
        '--rotate <keys>',
        'apply changed Secrets: keys separated by commas, or all',
        ['all', 'admin-password', 'user-password', 'manager-token', 'service-token'],
      ],
      ['--force', 'with --rotate: also settings that kasm-db did not write'],
      MIGRATOR_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/seed.js')).seedCommand(ctx, options),
  },
  {
    name: 'once',
    group: RUN,
    text: 'run a program once for this database, such as the one by which Kasm itself seeds',
    argument: ['<name>', 'what it is remembered by, such as kasm-seed'],
    rest: ['<command...>', 'the program and its arguments; no shell reads them'],
    options: [
      ['--seeds-database', 'its success counts as the seed: check --seed passes by it'],
      ['--timeout <duration>', 'end it after that time, which is a failure (default: never)'],
      MIGRATOR_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options, [name, command]) =>
      (await import('../commands/once.js')).onceCommand(ctx, name as string, command as string[], options),
  },
  {
    name: 'install-to',
    group: RUN,
    text: 'copy this executable into a folder, from which another image runs it (kasm-db once)',
    argument: ['<folder>', 'such as an emptyDir that both containers mount', 'folder'],
    offline: true,
    run: async (_, __, [folder]) => (await import('../commands/install-to.js')).installToCommand(folder as string),
  },
  {
    name: 'bootstrap',
    group: RUN,
    text: 'with DATABASE_MASTER_USER and _PASSWORD: role, database, extension, history, grants',
    options: [
      ['--dry-run', 'print the SQL, passwords hidden, and do nothing'],
      ['--gate-role <name>', 'also a role for the gates, which may read the history and nothing else'],
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/bootstrap.js')).bootstrapCommand(ctx, options),
  },
  {
    name: 'adopt',
    group: RUN,
    text: 'take over a database that Kasm itself has made: compare, then record without running',
    options: [
      ['--dry-run', 'say what differs and what would be recorded, and do nothing'],
      ['--allow-differences', 'accept differences that matter; they are stored, so that verify knows them'],
      ['--accept-head <hash>', 'accept an alembic_version that this build does not know, of the same release'],
      ['--add-missing', 'make the indexes that are missing, and nothing else'],
      MIGRATOR_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/adopt.js')).adoptCommand(ctx, options),
  },
  {
    name: 'check',
    group: LOOK,
    text: 'is everything this build needs applied? Never writes',
    options: [
      ['--wait [duration]', 'keep looking until yes, or the time is up (without one: for ever)'],
      ['--seed', 'also: is it seeded, by this or a newer build?'],
      ['--fail-fast', 'give up when the migrator has failed'],
    ],
    run: checkCommand,
  },
  {
    name: 'wait-for',
    group: LOOK,
    text: 'wait until an HTTP address answers, in the init container of what needs the API',
    argument: ['<url>', 'such as http://kasm-api:8080/api/__healthcheck'],
    options: [['--timeout <duration>', 'give up after that time (default 10m)']],
    offline: true,
    run: async (ctx, options, [url]) =>
      (await import('../commands/wait-for.js')).waitForCommand(ctx, url as string, options),
  },
  {
    name: 'status',
    group: LOOK,
    text: 'applied, pending, unknown, changed; the last run; who holds the lock',
    options: [
      ['--pending', 'only what is pending'],
      ['--watch', 'look again every two seconds, until Ctrl-C'],
      [
        '--format <format>',
        "text (default) or prometheus, for node_exporter's textfile collector",
        ['text', 'prometheus'],
      ],
      ['--drift', 'with --format prometheus: also how many differences verify finds'],
    ],
    run: async (ctx, options) => (await import('../commands/status.js')).statusCommand(ctx, options),
  },
  {
    name: 'plan',
    group: LOOK,
    text: 'what migrate would do, in order',
    options: [
      ['--to <name>', 'last migration to apply, by name or number', 'migration'],
      ['--sql', 'print the SQL'],
      ['--rehearse', 'apply it to a copy of the schema, without rows, in a temporary database; with --embedded there'],
    ],
    writesWith: 'rehearse',
    run: async (ctx, options) => (await import('../commands/plan.js')).planCommand(ctx, options),
  },
  {
    name: 'doctor',
    group: LOOK,
    text: 'would migrate and its seed work? A line for each thing that it needs, with the fix',
    options: [['--no-seed', 'leave out what only the seed needs']],
    writes: true,
    run: async (ctx, options) => (await import('../commands/doctor.js')).doctorCommand(ctx, options),
  },
  {
    name: 'verify',
    group: LOOK,
    text: 'drift: compare the live catalog with what the migrations make; never writes',
    options: [
      ['--against <file>', "compare with Kasm's own Export Schema file instead", 'file'],
      ['--strict', 'extensions, schemas and the like that are not ours are drift, too'],
      ['--fix-sql', 'print the statements that would bring it back, and do nothing'],
    ],
    run: async (ctx, options) => (await import('../commands/verify.js')).verifyCommand(ctx, options),
  },
  {
    name: 'docs',
    group: LOOK,
    text: 'the schema for people: of the database that is named, else of the one that the migrations make',
    options: [
      ['--format <format>', 'html (default), mermaid or markdown', FORMATS],
      ['--out <file>', 'where to (default: stdout; HTML on a terminal: schema.html)', 'file'],
    ],
    run: async (ctx, options) => (await import('../commands/docs.js')).docsCommand(ctx, options),
  },
  {
    name: 'rollback',
    group: REPAIR,
    text: 'run down scripts, last applied first; needs one of --to and --steps',
    options: [
      [
        '--to <name>',
        'migration that stays applied, by name or number; what is newer is undone (none: everything)',
        'migration',
      ],
      ['--steps <n>', 'how many to undo'],
      ['--allow-data-loss', 'also when tables or columns that hold something are dropped'],
      ['--dry-run', 'check everything, say what would be done, and do nothing'],
      LOCK_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/rollback.js')).rollbackCommand(ctx, options),
  },
  {
    name: 'repair',
    group: REPAIR,
    text: 'after a fix by hand: corrects the history, drops invalid indexes; shows what it will change, and asks',
    options: [
      ['--applied <name>', 'record it as applied, without running it', 'migration'],
      ['--pending <name>', 'record it as not applied', 'migration'],
      ['--statements-done <n>', 'with --pending, of a no-transaction migration: go on after so many statements'],
      ['--checksums', 'accept changed files as they are'],
      ['--restart-empty', "drop Kasm's tables that its initialisation left half-done; refuses where one has a row"],
      ['--yes', "don't ask"],
      MIGRATOR_TIMEOUT,
    ],
    writes: true,
    run: async (ctx, options) => (await import('../commands/repair.js')).repairCommand(ctx, options),
  },
  {
    name: 'new',
    group: AUTHOR,
    text: 'create the next migration and its down script',
    argument: ['<name>', 'such as add_users_locale'],
    options: [
      ['--no-transaction', 'the file runs statement by statement'],
      ['--copy-shipped', 'first copy the migrations that ship with kasm-db into the folder'],
      ['--from-export <file>', "write what leads from the newest snapshot to Kasm's Export Schema file", 'file'],
      [
        '--rename <table.old=new>',
        'with --from-export: a column with a new name, whose values stay; may stand several times',
        'many',
      ],
    ],
    offline: true,
    run: async (ctx, options, [name]) => (await import('../commands/new.js')).newCommand(ctx, name as string, options),
  },
  {
    name: 'lint',
    group: AUTHOR,
    text: 'what is unsafe in migrations, before they are applied; needs no database',
    argument: ['[files...]', 'migrations to look at (default: all of the folder, as one first installation)', 'file'],
    options: [['--applied <name>', 'newest migration that databases have; look only at what comes after', 'migration']],
    offline: true,
    run: async (ctx, options, [files]) =>
      (await import('../commands/lint.js')).lintCommand(ctx, (files ?? []) as string[], options),
  },
  {
    name: 'capture',
    group: AUTHOR,
    text: "write a migration that makes the live database's catalog",
    options: [['--out <file>', 'where to; a name in .json gets a snapshot for verify', 'file']],
    run: async (ctx, options) => (await import('../commands/capture.js')).captureCommand(ctx, options),
  },
];
