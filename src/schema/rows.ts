import type { Attachment, DataType, Policy, Routine, SequenceOptions, Trigger } from './model.js';

/** Rows of the catalog queries. */
export interface Rows {
  schemas: (Common & { name: string })[];
  extensions: { name: string; schema: string }[];
  collations: {
    schema: string;
    name: string;
    provider: string;
    collate: string | null;
    ctype: string | null;
    locale: string | null;
    deterministic: boolean;
    rules: string | null;
    comment: string | null;
  }[];
  others: { kind: string; name: string }[];
  /** What cannot be made without one of them. */
  neededOthers: { kind: string; name: string; dependent: string }[];
  relations: RelationRow[];
  columns: ColumnRow[];
  sequences: SequenceRow[];
  constraints: (OfTable & {
    kind: string;
    definition: string;
    /** Their numbers. */
    columns: number[] | null;
    refSchema: string | null;
    refTable: string | null;
    refColumns: string[] | null;
  })[];
  indexes: (OfTable & {
    definition: string;
    method: string;
    unique: boolean;
    valid: boolean;
    partitioned: boolean;
    /** Their numbers with blanks in between; 0: the next one of the expressions. */
    columns: string;
    expressions: string[] | null;
  })[];
  triggers: (OfTable & { definition: string; enabled: Trigger['enabled']; inherited: boolean })[];
  policies: (OfTable & {
    permissive: boolean;
    command: Policy['command'];
    roles: string[];
    using: string | null;
    check: string | null;
  })[];
  attachments: (OfTable & { kind: Attachment['kind']; definition: string; enabled: Attachment['enabled'] | null })[];
  routines: (Common & { schema: string; name: string; kind: Routine['kind']; arguments: string; definition: string })[];
  types: (Common & {
    schema: string;
    name: string;
    kind: DataType['kind'];
    labels: string[] | null;
    attributes: { name: string; type: string; collation: string | null; comment: string | null }[] | null;
    base: string | null;
    collation: string | null;
    default: string | null;
    notNull: boolean;
    constraints: { name: string; definition: string; comment: string | null }[] | null;
    subtype: string | null;
    subtypeOpclass: string | null;
    canonical: string | null;
    subtypeDiff: string | null;
    multirange: string | null;
  })[];
  dependencies: { dependent: string; needed: string }[];
}

interface Common {
  comment: string | null;
  /** As grantsOf() reads it. */
  acl?: string | null;
}

interface OfTable {
  oid: string;
  name: string;
  comment: string | null;
}

export interface RelationRow extends Common {
  oid: string;
  schema: string;
  name: string;
  kind: 'r' | 'p' | 'v' | 'm';
  persistence: string;
  populated: boolean;
  ofType: string | null;
  options: string[] | null;
  clusterOn: string | null;
  rowSecurity: boolean;
  forceRowSecurity: boolean;
  partitionKey: string | null;
  partitionBound: string | null;
  inherits: string[] | null;
  replicaIdentity: string | null;
  definition: string | null;
}

export interface ColumnRow extends Common {
  oid: string;
  number: number;
  name: string;
  type: string;
  notNull: boolean;
  default: string | null;
  identity: string;
  generated: string;
  collation: string | null;
  storage: string | null;
  compression: string | null;
  statistics: number | null;
  options: string[] | null;
  local: boolean;
  inherited: boolean;
  notNullUnchecked: boolean | null;
}

export interface SequenceRow extends Common, Omit<SequenceOptions, 'cycle'> {
  schema: string;
  name: string;
  persistence: string;
  cycle: boolean;
  /** a: OWNED BY; i: of an identity column. */
  owned: 'a' | 'i' | null;
  ownerOid: string | null;
  /** As SQL. */
  ownerTable: string | null;
  ownerName: string | null;
  ownerColumn: string | null;
  ownerColumnSql: string | null;
}
