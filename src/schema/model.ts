/**
 * What is in a catalog, in words that are the same on PostgreSQL 13 to 18. Names are plain; every piece of SQL names its objects with
 * their schema. Lists are sorted by name, columns stand in their order in the table. What is PostgreSQL's default is left out.
 */
export interface Schema {
  schemas: Namespace[];
  extensions: Extension[];
  collations: Collation[];
  types: DataType[];
  sequences: Sequence[];
  routines: Routine[];
  tables: Table[];
  views: View[];
  /** What is there and is not described further, such as operators and foreign tables. */
  others: Other[];
}

export interface Other {
  kind: string;
  name: string;
  /** Ids of what cannot be made without it, directly or not (`table public.users`, `index public.users.users_mail`). */
  neededBy?: string[];
}

export interface Grant {
  /** A role, `PUBLIC`, or `OWNER` where the owner has given up something. */
  grantee: string;
  /** `ALL` for all of them. */
  privileges: string[];
  grantable?: true;
}

interface Named {
  name: string;
  comment?: string;
}

/** What most objects have. `grants` is left out where nobody has granted or revoked anything. */
interface Common extends Named {
  grants?: Grant[];
}

interface Qualified extends Common {
  schema: string;
}

/** An object that others may have to be made before, by their ids (`table public.users`). */
interface Dependent extends Qualified {
  dependsOn?: string[];
}

export interface Namespace extends Common {}

export interface Extension {
  name: string;
  schema: string;
}

export interface Collation extends Qualified {
  /** Options of CREATE COLLATION. */
  options: string;
}

export interface DataType extends Dependent {
  kind: 'enum' | 'domain' | 'composite' | 'range';
  /** Of an enum, in their order. */
  labels?: string[];
  /** Of a composite type. */
  attributes?: (Named & { type: string; collation?: string })[];
  /** Of a domain. */
  base?: string;
  collation?: string;
  default?: string;
  notNull?: true;
  constraints?: (Named & { definition: string })[];
  /** Of a range, as SQL, where they are not what PostgreSQL takes by itself; its collation is above. */
  subtype?: string;
  subtypeOpclass?: string;
  canonical?: string;
  subtypeDiff?: string;
  multirange?: string;
}

export interface SequenceOptions {
  type: string;
  /** The numbers as text: they may be larger than JavaScript's. */
  start: string;
  increment: string;
  min: string;
  max: string;
  cache: string;
  cycle?: true;
}

export interface Sequence extends Dependent, SequenceOptions {
  unlogged?: true;
  /** The column it goes with (OWNED BY), as SQL. */
  ownedBy?: string;
}

export interface Routine extends Dependent {
  kind: 'function' | 'procedure' | 'window function' | 'aggregate';
  /** Types of its arguments, as they tell it from others of its name. */
  arguments: string;
  /** CREATE OR REPLACE … */
  definition: string;
}

export interface Column extends Common {
  /** As format_type() writes it, with length or precision. */
  type: string;
  notNull: boolean;
  /** SQL expression; of a generated column, what it is made of. */
  default?: string;
  generated?: 'stored' | 'virtual';
  identity?: Identity;
  /** Where it is not the type's own. */
  collation?: string;
  storage?: string;
  compression?: string;
  statistics?: number;
  /** Such as n_distinct. */
  options?: string[];
  /** Comes from a parent table; `merged`: and stands in this one too. */
  inherited?: 'inherited' | 'merged';
  /** PostgreSQL 18: NOT NULL holds for new rows only. */
  notNullUnchecked?: true;
  /** PostgreSQL 18: NOT NULL does not hold for heirs. */
  notNullNoInherit?: true;
}

export interface Identity {
  always: boolean;
  sequence: SequenceOptions;
  /** Of the sequence, where it is not `TABLE_COLUMN_seq`. */
  name?: string;
  /** Of the sequence. */
  comment?: string;
  grants?: Grant[];
}

export interface Constraint extends Named {
  kind: 'primary key' | 'unique' | 'foreign key' | 'check' | 'exclusion';
  /** As pg_get_constraintdef() writes it: columns, actions, DEFERRABLE, NOT VALID. */
  definition: string;
  columns: string[];
  /** Of a foreign key. */
  references?: { schema: string; table: string; columns: string[] };
  /** Its triggers are disabled: nobody enforces it. */
  disabled?: true;
}

export interface Index extends Named {
  /** CREATE INDEX … */
  definition: string;
  method: string;
  unique: boolean;
  /** false: a CREATE INDEX CONCURRENTLY has failed; nobody uses it. */
  valid: boolean;
  /** Columns and expressions. */
  columns: string[];
}

export interface Trigger extends Named {
  /** CREATE TRIGGER … */
  definition: string;
  enabled: 'origin' | 'disabled' | 'replica' | 'always';
  /** It comes from the partitioned table, and is not enabled as there. */
  inherited?: true;
}

export interface Policy extends Named {
  permissive: boolean;
  command: 'ALL' | 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
  roles: string[];
  using?: string;
  check?: string;
}

/** A rewrite rule, or extended statistics: made by one statement. */
export interface Attachment extends Named {
  kind: 'rule' | 'statistics';
  /** Of statistics, where it is not their table's. */
  schema?: string;
  definition: string;
  /** Of a rule, where it is not enabled as usual. */
  enabled?: Exclude<Trigger['enabled'], 'origin'>;
}

/** What tables and views have. */
interface Relation extends Dependent {
  columns: Column[];
  indexes: Index[];
  triggers: Trigger[];
  attachments: Attachment[];
  /** Storage parameters, those of its TOAST table too. */
  options?: string[];
  /** Index by which CLUSTER orders it. */
  clusterOn?: string;
}

export interface Table extends Relation {
  kind: 'table' | 'partitioned table';
  unlogged?: true;
  partitionKey?: string;
  /** Of a partition: FOR VALUES … or DEFAULT. */
  partitionBound?: string;
  /** Parents, or the partitioned table, as SQL. */
  inherits?: string[];
  /** The composite type that it is a table of, as SQL. */
  ofType?: string;
  rowSecurity?: 'enabled' | 'forced';
  replicaIdentity?: string;
  constraints: Constraint[];
  policies: Policy[];
}

export interface View extends Relation {
  kind: 'view' | 'materialized view';
  /** Of a materialized view that was never filled. */
  empty?: true;
  /** The query. */
  definition: string;
}

export const EMPTY_SCHEMA: Schema = {
  schemas: [],
  extensions: [],
  collations: [],
  types: [],
  sequences: [],
  routines: [],
  tables: [],
  views: [],
  others: [],
};

/** Tables of schema public by name: those that Kasm's export may list. */
export const publicTables = ({ tables }: Schema): Map<string, Table> =>
  new Map(tables.filter(({ schema }) => schema === 'public').map((table) => [table.name, table]));
