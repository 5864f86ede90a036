import { eachCommand, type Rule } from '../rule.js';
import { dropped, type Node, nameOf, nameOfParts } from '../tree.js';

const OLD_PODS = 'pods of the release before it still run during a rolling update, and after a rollback of it';

/** What a pod can use by name, besides tables and columns. */
const OBJECTS: Record<string, string> = {
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'procedure',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'domain',
  OBJECT_SCHEMA: 'schema',
  OBJECT_EXTENSION: 'extension',
  OBJECT_FOREIGN_TABLE: 'foreign table',
};

export const removalRules: Rule[] = [
  {
    id: 'drop-table',
    why: `${OLD_PODS}: they use it, and its rows are gone`,
    safe: 'drop it a release after the last one that uses it; then suppress this with the reason',
    check: ({ type, node }, { known }) =>
      type === 'DropStmt' &&
      node.removeType === 'OBJECT_TABLE' &&
      dropped(node)
        .map(nameOfParts)
        .map((table) => !known.isFresh(table) && `table ${table} is dropped`),
  },
  {
    id: 'drop-column',
    why: `${OLD_PODS}: they use it, and its values are gone`,
    safe: 'drop it a release after the last one that uses it; then suppress this with the reason',
    check: eachCommand(['AT_DropColumn'], ({ name }, table) => `column ${table}.${name} is dropped`),
  },
  {
    id: 'rename-column',
    why: `${OLD_PODS}: they use the old name`,
    safe: 'add a column with the new name, write both, fill it, drop the old one a release later',
    check: ({ type, node }, { known }) =>
      type === 'RenameStmt' &&
      node.renameType === 'OBJECT_COLUMN' &&
      !known.isFresh(nameOf(node.relation)) &&
      `${nameOf(node.relation)}.${node.subname} becomes ${node.newname}`,
  },
  {
    id: 'rename-table',
    why: `${OLD_PODS}: they use the old name`,
    safe: 'rename it and CREATE VIEW with the old name in the same migration, then suppress this with the reason; drop the view a release later',
    check: ({ type, node }, { known }) =>
      type === 'RenameStmt' &&
      ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'].includes(node.renameType) &&
      !known.isMade(nameOf(node.relation)) &&
      `${nameOf(node.relation)} becomes ${node.newname}`,
  },
  {
    id: 'rename-sequence',
    why: `${OLD_PODS}: nextval('its old name') fails; what a column owns is found by its new name, too`,
    safe: 'leave its name; where it has to change, do it when no pod calls it by its old name; then suppress this with the reason',
    check: ({ type, node }, { known }) =>
      type === 'RenameStmt' &&
      node.renameType === 'OBJECT_SEQUENCE' &&
      !known.isMade(nameOf(node.relation)) &&
      `${nameOf(node.relation)} becomes ${node.newname}`,
  },
  {
    id: 'rename-enum-value',
    why: `${OLD_PODS}: they use the old value`,
    safe: 'ADD VALUE with the new one, and leave the old one',
    check: ({ type, node }) => type === 'AlterEnumStmt' && node.oldVal && `'${node.oldVal}' becomes '${node.newVal}'`,
  },
  {
    id: 'set-schema',
    why: `${OLD_PODS}: they look for it where it was`,
    safe: 'leave it where it is, or leave a view in its place',
    check: ({ type, node }, { known }) =>
      type === 'AlterObjectSchemaStmt' &&
      !(node.relation && known.isMade(nameOf(node.relation))) &&
      `${node.relation ? nameOf(node.relation) : 'an object'} moves to schema ${node.newschema}`,
  },
  {
    id: 'drop-object',
    why: `${OLD_PODS}: they may use it`,
    safe: 'drop it a release after the last one that uses it; then suppress this with the reason',
    check: ({ type, node }, { known }) =>
      type === 'DropStmt' &&
      OBJECTS[node.removeType] &&
      dropped(node)
        .map(nameOfParts)
        .map((name) => !known.isMade(name) && `${OBJECTS[node.removeType]} ${name} is dropped`),
  },
  {
    id: 'drop-cascade',
    why: 'CASCADE also drops what depends on it, which no one who reads the file sees',
    safe: 'name each object that is to be dropped',
    check: ({ type, node }) => {
      const commands = type === 'AlterTableStmt' ? (node.cmds as Node[]).map((cmd) => cmd.AlterTableCmd) : [];
      const drops = ['DropStmt', 'TruncateStmt', 'DropOwnedStmt'].includes(type) ? [node] : commands;
      return drops.some(({ behavior }) => behavior === 'DROP_CASCADE') && 'CASCADE drops more than the file names';
    },
  },
  {
    id: 'truncate',
    why: 'all rows are deleted, under a lock that stops all reads and writes',
    safe: 'leave the rows to whoever owns them, or suppress this with the reason',
    check: ({ type, node }, { known }) =>
      type === 'TruncateStmt' &&
      (node.relations as Node[])
        .map(({ RangeVar }) => nameOf(RangeVar))
        .map((table) => !known.isFresh(table) && `table ${table} is emptied`),
  },
];
