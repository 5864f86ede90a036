import { KasmDbError, messageOf } from '../app/errors.js';
import { readFile } from '../app/read-file.js';
import { isMap, isScalar, parseYaml, YamlFault } from '../app/yaml.js';

export interface ExportedColumn {
  /** SQLAlchemy's name of the type, such as VARCHAR(32). */
  type: string;
  /** NOT NULL without a default. */
  required: boolean;
  references?: { table: string; column: string };
}

/** What Kasm's Export Schema says of a release. */
export interface ExportedSchema {
  file: string;
  alembicVersion: string | undefined;
  tables: Map<string, Map<string, ExportedColumn>>;
}

/** Tables of a genuine database that the vendor's export never lists. */
export const NOT_EXPORTED = new Set([
  'alembic_version',
  'logs',
  'licenses',
  'installation',
  'egress_plugins',
  'egress_plugin_accounts',
]);

const PLAIN: Record<string, string> = {
  UUID: 'uuid',
  TIMESTAMP: 'timestamp without time zone',
  DATETIME: 'timestamp without time zone',
  DATE: 'date',
  TIME: 'time without time zone',
  BOOLEAN: 'boolean',
  JSON: 'json',
  JSONB: 'jsonb',
  BLOB: 'bytea',
  BYTEA: 'bytea',
  INTEGER: 'integer',
  SMALLINT: 'smallint',
  BIGINT: 'bigint',
  FLOAT: 'double precision',
  REAL: 'real',
  NUMERIC: 'numeric',
  TEXT: 'text',
  INET: 'inet',
  ARRAY: 'character varying[]',
  VARCHAR: 'character varying',
  CHAR: 'character',
};

/** How format_type() writes a type of the export; docs/ASSUMPTIONS.md says why. @returns undefined when it is not known */
export function postgresType(type: string): string | undefined {
  const match = /^([A-Z]+)(?:\(([\d, ]+)\))?$/.exec(type.trim().toUpperCase());
  const name = match?.[1] && PLAIN[match[1]];
  if (!name) return undefined;
  const size = match[2]?.replace(/\s/g, '');
  if (!size) return name;
  return ['VARCHAR', 'CHAR', 'NUMERIC'].includes(match[1] as string) ? `${name}(${size})` : undefined;
}

/**
 * Reads Kasm's Export Schema file (YAML), or the same in compact form (`T table`, `column TYPE! ->table.column`).
 * @throws KasmDbError usage, with file and line; the signal's reason
 */
export async function readExport(file: string, signal?: AbortSignal): Promise<ExportedSchema> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFile(file, 'schemaExport').bytes);
  } catch (error) {
    throw new KasmDbError('usage', `cannot read ${file} (${messageOf(error)})`, {
      file,
      hint: 'correct the path of the Export Schema file',
    });
  }
  const first = text.split('\n').find((line) => line.trim() && !line.startsWith('#')) ?? '';
  const parsed = /^[TS] \S/.test(first) ? compactForm(text, file) : await yamlForm(text, file, signal);
  if (parsed.tables.size === 0) throw faultIn(file, 1, 'it lists no table');
  for (const [table, columns] of parsed.tables) {
    for (const [name, facts] of columns) {
      const target = targetOf(facts, parsed);
      if (target && !parsed.tables.get(target.table)?.has(target.column))
        throw faultIn(file, 1, `${table}.${name} refers to ${target.table}.${target.column}, which is not there`);
    }
  }
  return parsed;
}

/** Where a column's foreign key leads, unless the export leaves that table out. */
export function targetOf({ references }: ExportedColumn, { tables }: ExportedSchema): ExportedColumn['references'] {
  return references && tables.has(references.table) ? references : undefined;
}

function faultIn(file: string, line: number, message: string): KasmDbError {
  return new KasmDbError('usage', `${file}:${line}: ${message}`, {
    file,
    line,
    hint: 'it must be what Kasm writes in Admin, Diagnostics, System Info, Export Schema',
  });
}

function reference(text: string): ExportedColumn['references'] {
  const at = text.lastIndexOf('.');
  return at > 0 ? { table: text.slice(0, at), column: text.slice(at + 1) } : undefined;
}

function compactForm(text: string, file: string): ExportedSchema {
  const result: ExportedSchema = { file, alembicVersion: undefined, tables: new Map() };
  let columns: Map<string, ExportedColumn> | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    const [word = '', second = '', third] = line.trim().split(/\s+/);
    const fault = (message: string) => faultIn(file, i + 1, message);
    if (word === '' || word.startsWith('#')) continue;
    if (word === 'T') {
      if (result.tables.has(second)) throw fault(`table ${second} stands there twice`);
      columns = new Map();
      result.tables.set(second, columns);
    } else if (word === 'S') {
      if (second === 'alembic_version') result.alembicVersion = third;
    } else {
      const type = second.replace(/!$/, '');
      if (!columns) throw fault('a column stands before the first table');
      if (!postgresType(type)) throw fault(`${word}: unknown type "${type}"`);
      const references = third?.startsWith('->') ? reference(third.slice(2)) : undefined;
      if (third && !references) throw fault(`"${third}" is not a reference (->table.column)`);
      columns.set(word, { type, required: second.endsWith('!'), ...(references ? { references } : {}) });
    }
  }
  return result;
}

async function yamlForm(text: string, file: string, signal: AbortSignal | undefined): Promise<ExportedSchema> {
  const { contents: root, lineOf } = await parseYaml(text, signal).catch((error) => {
    throw error instanceof YamlFault ? faultIn(file, error.line, error.message) : error;
  });
  const result: ExportedSchema = { file, alembicVersion: undefined, tables: new Map() };
  const fault = (key: unknown, message: string) => faultIn(file, lineOf(key), message);
  if (!isMap(root)) throw faultIn(file, 1, 'the top level must be a map of tables');
  for (const { key, value } of root.items) {
    const table = String(isScalar(key) ? key.value : key);
    if (isScalar(value)) {
      if (table === 'alembic_version') result.alembicVersion = String(value.value);
      continue;
    }
    if (!isMap(value)) throw fault(key, `"${table}" must be a map of columns`);
    const columns = new Map<string, ExportedColumn>();
    for (const { key, value: facts } of value.items) {
      const name = String(isScalar(key) ? key.value : key);
      if (!isMap(facts)) throw fault(key, `"${table}.${name}" must say type, required, foreign_key`);
      const type = String(facts.get('type') ?? '');
      if (!postgresType(type)) throw fault(key, `${table}.${name}: unknown type "${type}"`);
      const target = facts.get('foreign_key');
      const references = typeof target === 'string' && target !== '' ? reference(target) : undefined;
      if (target && !references) throw fault(key, `${table}.${name}: foreign_key must be table.column`);
      columns.set(name, { type, required: facts.get('required') === true, ...(references ? { references } : {}) });
    }
    result.tables.set(table, columns);
  }
  return result;
}
