import { EXIT_CODES, type Outcome } from '../../app/errors.js';

/** What one exit code means. Texts are Markdown: docs/TROUBLESHOOTING.md has them as they are. */
interface Meaning {
  about: string;
  cases: readonly Case[];
}

export interface ExitCode extends Meaning {
  code: string;
  name: string;
  /** May the same call, made again, succeed without anybody doing something? */
  retryHelps: boolean;
}

/** What is seen (… stands for what differs), why, and what to do. */
export type Case = readonly [see: string, why: string, what: string];

const MEANINGS: Readonly<Record<Outcome, Meaning>> = {
  ok: { about: 'Done, or nothing to do.', cases: [] },
  internal: {
    about: 'A bug in kasm-db. Nothing half-done is left: a migration that was not recorded was not applied.',
    cases: [['a stack on stderr', 'kasm-db met a case that it was not made for', 'report it with the stack']],
  },
  usage: {
    about:
      'A flag, a setting or a file is wrong; nothing was done. The message names it, and the line where there is one.',
    cases: [
      [
        '`no database is given`',
        'none of `KASM_DB_URL`, `POSTGRES_HOST`, `POSTGRES_DB`, `POSTGRES_USER`, `PGHOST` and so on is set, or only as a Kubernetes service link (`POSTGRES_PORT=tcp://…`), which is ignored',
        'set them; `kasm-db doctor` shows what is read from where',
      ],
      [
        '`holds a password; process arguments are visible to other users`',
        'a password stands in `--url`',
        'take it out; set `POSTGRES_PASSWORD_FILE`',
      ],
      ['`both … and …_FILE are set`', 'a value is given twice', 'unset one of them'],
      ['`needs a root certificate`', '`sslmode=verify-full` or `verify-ca` without a CA', 'set `PGSSLROOTCERT`'],
      [
        '`inside a migration`',
        'a migration has a COMMIT or the like; kasm-db runs each file in a transaction of its own',
        'take it out',
      ],
      ['`unknown directive`', 'a comment `-- kasm-db: …` is misspelled', 'correct it ([MIGRATIONS.md](MIGRATIONS.md))'],
      [
        '`unknown option`, `unknown command`',
        'a slip on the command line',
        'the message has the nearest one; `kasm-db --help`',
      ],
    ],
  },
  pending: {
    about: 'The schema (or the seed) is not there yet, or not all of it. With `--wait`, `check` looks until it is.',
    cases: [
      [
        '`is next`',
        'migrations are missing, and nobody is applying them',
        'run `kasm-db migrate`, or find out why the Job does not: `kasm-db status` shows the last run and its error',
      ],
      ['`the last run failed`', 'a migration or the seed failed', 'correct the cause, then `kasm-db migrate`'],
      ['`the migrator has died`', 'its pod or node went', 'its Job starts it again; it goes on where it stopped'],
      ['`but it is not seeded yet`', '`--seed` was asked for', 'run `kasm-db migrate --seed`'],
    ],
  },
  unreachable: {
    about:
      'No connection, no login, or the connection was lost. What was not committed is rolled back; the same call goes on where it stopped.',
    cases: [
      ['`is not found in DNS`', "the name is wrong, or its Service doesn't exist yet", 'correct `POSTGRES_HOST`'],
      ['`refuses connections`', 'nothing listens there', 'is PostgreSQL running? is the port right?'],
      [
        '`did not answer in time`',
        'a firewall or NetworkPolicy drops packets',
        'allow the way; `--connect-timeout` gives more time',
      ],
      [
        '`refuses the login`',
        'user, password, NOLOGIN or pg_hba.conf; the hint says which',
        'compare the Secret with the role; a corrected Secret is picked up without a restart, since the file is read on each attempt',
      ],
      ['`has no database`', '`POSTGRES_DB` is wrong, or it was not made', '`CREATE DATABASE kasm OWNER kasmapp`'],
      [
        '`TLS with … failed`',
        "sslmode, CA or name don't fit",
        '`sslmode=verify-full` needs the CA (`PGSSLROOTCERT`) and the name that is in the certificate',
      ],
      ['`is starting up or shutting down`', 'PostgreSQL recovers, or restarts', 'wait'],
      [
        '`has no connection left`',
        'max_connections is used up, or the limit of the role, of the database or of a pooler',
        'the hint says which: end idle sessions, raise it',
      ],
      [
        '`takes the login, but not a query`',
        'a pooler answers whose server is gone, frozen or used up',
        'look at its server and its limits, or set `KASM_DB_DIRECT_URL`',
      ],
      [
        '`this server is a standby`',
        'it takes no writes; a failover may be under way',
        'connect to the primary, or list all hosts (`POSTGRES_HOST=a,b`): then it is found',
      ],
      [
        '`hosts will do`',
        'of several hosts none is what `target_session_attrs` asks for; a failover may be going on',
        'wait; list all hosts of the cluster',
      ],
      ['`the connection was lost`', 'the server, a proxy or the network ended it', 'run it again'],
    ],
  },
  locked: {
    about: 'For all of `--lock-timeout` somebody else was in the way. The message names the process.',
    cases: [
      [
        '`another migrator held the migration lock`',
        'a run goes on elsewhere',
        '`kasm-db status` shows what it is doing; when it hangs, end it: `SELECT pg_terminate_backend(PID)`. What it did not commit is rolled back',
      ],
      [
        '`gives way and tries again`, then SQLSTATE 55P03',
        'sessions keep a table that a migration has to change',
        'end them or wait. The message, the log and the JSON (`lock.blockers`) have PID, application, state, age, relation and lock modes, never their query; what the role may not see of others is left out: `GRANT pg_monitor` shows it',
      ],
      [
        '`so the history cannot be read`',
        'a session has a table of `kasm_db` for itself (VACUUM FULL, ALTER)',
        'the message has its PID: let it end, or end it',
      ],
      ['`is used by another kasm-db`', '`--embedded` runs in that folder already', 'wait until it has ended'],
    ],
  },
  integrity: {
    about:
      'Going on could do harm, so nothing was done: database and files do not fit each other, or a check has found something wrong.',
    cases: [
      [
        '`was changed after it was applied`',
        "the file's text differs from what was run",
        'restore it and put the change into a new migration; or accept it as it is: `kasm-db repair --checksums`',
      ],
      ['`but its file is missing`', 'a migration in the history has no file in this build', 'restore it'],
      [
        '`is out of order`',
        'an older number came later than a newer one was applied',
        'renumber it, or write `-- kasm-db: out-of-order`',
      ],
      [
        '`which builds older than … cannot work with`',
        'the database was migrated by a newer kasm-db that says so',
        'use that build',
      ],
      [
        '`already has tables of Kasm`',
        'the API container or someone else made this schema',
        '`kasm-db adopt` ([ADOPT.md](ADOPT.md)), or an empty database',
      ],
      [
        '`an initialisation was left half-done`',
        "Kasm's own initialisation was killed, and Kasm never goes on with it",
        '`kasm-db adopt` ([ADOPT.md](ADOPT.md)), or `kasm-db repair --restart-empty`; inside of a cluster: [KASM-HELM.md](KASM-HELM.md)',
      ],
      [
        "`Kasm's own upgrade has changed this database`",
        'it runs another Kasm release',
        'use the kasm-db for that release',
      ],
      [
        '`nobody knows whether statement … was completed`',
        'a run died in a no-transaction file',
        'look at the database, then the `kasm-db repair` call that the message names',
      ],
      [
        '`the statement itself was completed`',
        'a session kept the history for longer than `--lock-timeout` when a statement of a no-transaction file had to be recorded',
        'end that session, then the `kasm-db repair` call that the message names',
      ],
      [
        '`is not used:`',
        "a table of Kasm is not what it should be: code of another role would run with the migrator's rights",
        'give it to the owner of the database, or drop what was added',
      ],
      [
        "`is not kasm-db's table`",
        'someone changed schema `kasm_db`',
        "compare it with the history's definition in docs/TROUBLESHOOTING.md",
      ],
      [
        '`would lose data`',
        'a rollback would drop tables or columns that hold something',
        'save it; then `--allow-data-loss` ([ROLLBACK.md](ROLLBACK.md))',
      ],
      [
        '`missing, so nothing was rolled back`',
        'a migration has no down script',
        'write it; a file of comments alone says that nothing has to be undone',
      ],
      [
        'a list of differences',
        '`verify` or `adopt` found drift',
        '`kasm-db verify --fix-sql` shows the statements that undo it ([SCHEMA.md](SCHEMA.md))',
      ],
      ['a list of findings', '`lint` found unsafe SQL', 'each has its safe way ([LINT.md](LINT.md))'],
    ],
  },
  failed: {
    about:
      "A migration's SQL failed. The message has file, line, statement and SQLSTATE; the migrations before it are kept. Or the program of `once` did not end with 0.",
    cases: [
      [
        '`nothing of it was kept`',
        'the server refused a statement of a migration',
        'correct the cause and run `kasm-db migrate` again',
      ],
      [
        'a statement of a no-transaction file',
        'the statements before it are kept and recorded',
        'correct the cause; the next run goes on there',
      ],
      [
        '`so it cannot be recorded`',
        "a migration has made a trigger, a rule or a policy on kasm-db's own tables, or set its transaction to READ ONLY",
        'take that out of the file; what is made for all tables leaves schema `kasm_db` out',
      ],
      [
        '`ended with exit code`, `was ended by`, `did not end within`',
        'the program that `once` has run failed; its own output stands before it in the log',
        'correct the cause and make the same call again: it runs the program again ([ONCE.md](ONCE.md))',
      ],
    ],
  },
  seed: {
    about: 'A seed document is wrong, or a Secret lacks something. Nothing of the seed was written.',
    cases: [
      [
        '`the seed documents have`',
        'a table, column, token, type, length, required value or reference is wrong; each with file and line',
        'correct them',
      ],
      [
        '`missing, so nothing was written`',
        'a row has to be made and its key is in no Secret',
        'add the keys that are listed to the Secret',
      ],
      [
        '`is for alembic_version`',
        'the document belongs to another Kasm release',
        'use documents of the release that this kasm-db makes',
      ],
      [
        '`was not written by kasm-db`',
        '`--rotate` of a setting that someone else wrote; Kasm may have encrypted it',
        "change it in Kasm's admin interface, or `--force`",
      ],
      [
        '`the database refused a row`',
        "the database demands more than Kasm's schema (a constraint or trigger of your own)",
        'the message names table, column or constraint',
      ],
    ],
  },
  environment: {
    about: 'The server or the role cannot do what is needed. `kasm-db doctor` has a line for each, with the fix.',
    cases: [
      [
        '`and a connection pooler stands before the server`',
        'a no-transaction migration cannot run behind a connection pooler',
        'set `KASM_DB_DIRECT_URL` ([POOLERS.md](POOLERS.md))',
      ],
      ['`is too old`', 'PostgreSQL before 13', 'upgrade it; Kasm 1.19 wants 16'],
      [
        '`belong to …, so … cannot use them`',
        'somebody ran `kasm-db migrate` with another login than the owner of the database, such as a superuser',
        'give the tables to the owner: [TROUBLESHOOTING.md](TROUBLESHOOTING.md) has the statements, under "Tables that belong to the wrong login"',
      ],
      ['SQLSTATE 42501', 'a privilege is missing', 'the message has the statement that an admin has to run'],
      [
        '`default_transaction_read_only is on`',
        'database or server are set to take no writes: a host does so when the disk is full',
        'make room, then set it back where the message says; set for the role alone it is a warning',
      ],
      [
        '`that stopped it`',
        "an event trigger, the host's perhaps, refuses what a migration does (7 where it raises an SQLSTATE of its own)",
        'the message names the trigger and whose it is: ask what it allows',
      ],
      [
        '`sends the migration lock to a standby`',
        'pgpool-II takes the lock for a read',
        'empty `write_function_list`, or set `KASM_DB_DIRECT_URL` ([POOLERS.md](POOLERS.md))',
      ],
      [
        '`uuid-ossp`',
        'the extension is missing, or may not be made',
        'the message has the statement that an admin has to run',
      ],
    ],
  },
  interrupted: {
    about:
      'SIGHUP (129), SIGINT (130) or SIGTERM (143): the statement was cancelled and rolled back, the lock is free.',
    cases: [
      ['`interrupted by`', 'Ctrl-C, or the pod was ended', 'run the same command again; it goes on where it stopped'],
    ],
  },
};

const RETRY_HELPS = ['pending', 'unreachable', 'locked', 'interrupted'];

/** The one text about exit codes: of `kasm-db help exit-codes` and of docs/TROUBLESHOOTING.md. */
export const EXIT_CODE_HELP: readonly ExitCode[] = Object.entries(MEANINGS).map(([name, meaning]) => ({
  code: name === 'interrupted' ? '129, 130, 143' : String(EXIT_CODES[name as Outcome]),
  name,
  retryHelps: RETRY_HELPS.includes(name),
  ...meaning,
}));
