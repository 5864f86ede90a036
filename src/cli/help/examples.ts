/** A call, and what it is for. */
export type Example = readonly [call: string, text: string];

/** Of `kasm-db --help`: from trying it to running it. */
export const FIRST_STEPS: readonly Example[] = [
  ['kasm-db migrate --embedded', 'try it, on a private PostgreSQL 16'],
  ['kasm-db doctor', 'is everything there that migrate needs?'],
  ['kasm-db plan', 'what would be done'],
  ['kasm-db migrate --seed --secrets DIR', 'schema, default rows, credentials'],
  ['kasm-db --check --seed --wait 10m', 'in an init container'],
];

/** By command. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  migrate: [
    ['kasm-db migrate', 'all that is pending; a second time it is a no-op'],
    ['kasm-db migrate --dry-run', 'which would be applied'],
    ['kasm-db migrate --seed --secrets DIR', 'and default rows, with credentials from a Secret'],
    ['kasm-db migrate --bootstrap --seed', 'first role and database, with the admin login'],
    ['kasm-db migrate --embedded', 'on a private PostgreSQL, to try it'],
  ],
  seed: [
    ['kasm-db seed --secrets DIR', 'default rows, credentials from a mounted Secret'],
    ['kasm-db seed --dry-run', 'what would be written'],
    ['kasm-db seed --rotate admin-password', 'apply a password that changed in the Secret'],
    ['kasm-db seed --seeds export.yaml', "rows from Kasm's Export Configuration"],
  ],
  once: [
    ['kasm-db once tidy -- /opt/tidy.sh --all', 'runs it; the next call does nothing'],
    ['kasm-db once kasm-seed --seeds-database -- /usr/bin/kasm_server.so', 'the gates pass by it'],
  ],
  'install-to': [['kasm-db install-to /opt/kasm-db', 'in an init container; then /opt/kasm-db/kasm-db runs']],
  bootstrap: [
    ['kasm-db bootstrap --dry-run', 'the SQL, to give it to a database admin'],
    ['kasm-db bootstrap --gate-role kasmgate', 'and a role that may only read the history'],
  ],
  adopt: [
    ['kasm-db adopt --dry-run', 'does the database have the schema of this build?'],
    ['kasm-db adopt', 'record the migrations, run none'],
    ['kasm-db adopt --accept-head 0a1b2c3d4e5f', 'of a rolling image: another build of the same release'],
    ['kasm-db adopt --add-missing', 'and make the indexes that it lacks'],
  ],
  check: [
    ['kasm-db check', 'exit 0: everything is applied; 3: not yet'],
    ['kasm-db --check --seed --wait 10m', 'the gate of an init container'],
    ['kasm-db check --wait --fail-fast', 'until it is there, or the migrator has failed'],
  ],
  'wait-for': [
    ['kasm-db wait-for http://kasm-api:8080/api/__healthcheck', 'until the API answers, at most 10 minutes'],
    ['kasm-db wait-for http://kasm-api:8080/api/__healthcheck --timeout 1h', 'or an hour'],
  ],
  status: [
    ['kasm-db status', 'what is applied, and what the last run did'],
    ['kasm-db status --json', 'the same for a program'],
  ],
  plan: [
    ['kasm-db plan', 'pending migrations, their table locks and rewrites'],
    ['kasm-db plan --sql', 'and their SQL'],
    ['kasm-db plan --rehearse', 'applied to a copy of the schema, without rows'],
    ['kasm-db plan --to 0003_sign_in_providers --json', 'up to one of them, for a program'],
  ],
  doctor: [
    ['kasm-db doctor', 'a line for each thing that migrate needs'],
    ['kasm-db doctor --secrets DIR', 'also: are all credentials there?'],
  ],
  verify: [
    ['kasm-db verify', 'what differs from what the migrations make'],
    ['kasm-db verify --fix-sql', 'and the statements that bring it back'],
    ['kasm-db verify --against export.yaml', "compared with Kasm's Export Schema"],
  ],
  docs: [
    ['kasm-db docs --out schema.html', 'a page with search and diagrams'],
    ['kasm-db docs --format mermaid', 'diagrams for a Markdown page'],
  ],
  rollback: [
    ['kasm-db rollback --steps 1 --dry-run', 'what undoing the last migration would do'],
    ['kasm-db rollback --to 0012_egress', 'undo what is newer than 0012'],
  ],
  repair: [
    ['kasm-db repair', 'what is wrong, and the call that corrects it'],
    ['kasm-db repair --applied 0020_locale', 'you have run it by hand'],
    ['kasm-db repair --checksums --yes', 'the files are right as they are'],
  ],
  new: [
    ['kasm-db new add_users_locale', 'migrations/NNNN_add_users_locale.sql and .down.sql'],
    ['kasm-db new add_users_locale --copy-shipped', 'outside of a clone: first a copy of what ships'],
    ['kasm-db new big_index --no-transaction', 'for CREATE INDEX CONCURRENTLY'],
    ['kasm-db new kasm_1_20 --from-export schema.yaml', 'what leads to another Kasm release'],
    ['kasm-db new kasm_1_20 --from-export schema.yaml --rename users.a=b', 'a column has a new name'],
  ],
  lint: [
    ['kasm-db lint', 'the migrations that ship with kasm-db'],
    ['kasm-db lint migrations/0020_locale.sql', 'one file; those before it say what is there'],
    ['kasm-db lint --migrations DIR --applied 0019_alembic_version', 'only what comes after'],
  ],
  capture: [
    ['kasm-db capture --out migrations/0001_baseline.sql', "a migration of the database's schema"],
    ['kasm-db capture --out schema.json', 'a snapshot for verify'],
  ],
  licenses: [['kasm-db licenses', 'the text of each']],
  completion: [
    ['kasm-db completion bash > ~/.local/share/bash-completion/completions/kasm-db', 'for the next bash'],
    ['kasm-db completion zsh > "${fpath[1]}/_kasm-db"', 'for the next zsh'],
    ['kasm-db completion fish > ~/.config/fish/completions/kasm-db.fish', 'for the next fish'],
  ],
  help: [
    ['kasm-db help migrate', 'the same as kasm-db migrate --help'],
    ['kasm-db help exit-codes', 'what each means, why, and what to do'],
    ['kasm-db help 4', 'one of them'],
  ],
};
