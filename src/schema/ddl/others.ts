import { partition } from '../../app/group-by.js';
import { type Grantable, standardGrants } from '../grants.js';
import type { DataType, Grant, Sequence } from '../model.js';
import { sequenceOptions } from './columns.js';
import { ident, literal, qualified } from './names.js';
import { role } from './tables.js';

/** CREATE TYPE or CREATE DOMAIN; a check that holds for new values only comes after it. */
export function createType(type: DataType): string[] {
  const name = qualified(type);
  if (type.kind === 'enum') return [`CREATE TYPE ${name} AS ENUM (${(type.labels ?? []).map(literal).join(', ')})`];
  if (type.kind === 'composite') {
    const attributes = (type.attributes ?? []).map(
      (a) => `${ident(a.name)} ${a.type}${a.collation ? ` COLLATE ${a.collation}` : ''}`,
    );
    return [`CREATE TYPE ${name} AS (${attributes.join(', ')})`];
  }
  if (type.kind === 'range') {
    const options = [
      ['SUBTYPE', type.subtype],
      ['SUBTYPE_OPCLASS', type.subtypeOpclass],
      ['COLLATION', type.collation],
      ['CANONICAL', type.canonical],
      ['SUBTYPE_DIFF', type.subtypeDiff],
      ['MULTIRANGE_TYPE_NAME', type.multirange],
    ].flatMap(([option, value]) => (value === undefined ? [] : [`${option} = ${value}`]));
    return [`CREATE TYPE ${name} AS RANGE (${options.join(', ')})`];
  }
  const [unchecked, checks] = partition(type.constraints ?? [], ({ definition }) => definition.endsWith(' NOT VALID'));
  const create = [
    `CREATE DOMAIN ${name} AS ${type.base}`,
    type.collation ? `COLLATE ${type.collation}` : '',
    type.default === undefined ? '' : `DEFAULT ${type.default}`,
    type.notNull ? 'NOT NULL' : '',
    ...checks.map((check) => `CONSTRAINT ${ident(check.name)} ${check.definition}`),
  ];
  return [create.filter(Boolean).join(' '), ...unchecked.map((check) => addDomainCheck(type, check))];
}

/** ALTER DOMAIN … ADD CONSTRAINT. */
export function addDomainCheck(domain: DataType, { name, definition }: { name: string; definition: string }): string {
  return `ALTER DOMAIN ${qualified(domain)} ADD CONSTRAINT ${ident(name)} ${definition}`;
}

/** CREATE SEQUENCE, with what is not so by default. */
export function createSequence(sequence: Sequence): string {
  const options = sequenceOptions(sequence);
  const type = sequence.type === 'bigint' ? '' : ` AS ${sequence.type}`;
  return `CREATE ${sequence.unlogged ? 'UNLOGGED ' : ''}SEQUENCE ${qualified(sequence)}${type}${options ? ` ${options}` : ''}`;
}

/** ALTER SEQUENCE … OWNED BY, where it goes with a column. */
export function sequenceOwner(sequence: Sequence): string[] {
  return sequence.ownedBy ? [`ALTER SEQUENCE ${qualified(sequence)} OWNED BY ${sequence.ownedBy}`] : [];
}

/**
 * REVOKE and GRANT that make the privileges of an object what they are to be.
 * @param target such as `TABLE public.users`
 * @param wanted undefined: what PostgreSQL gives a new object
 * @param present who has something now; of a new object PUBLIC (functions, types) at most
 */
export function grantSql(target: string, wanted: Grant[] | undefined, present: Grant[] = [], column = ''): string[] {
  const standard = standardGrants((target.split(' ', 1)[0] as string).toLowerCase() as Grantable);
  const all = [...present, ...(wanted ? [...wanted, ...standard] : [])];
  const grantees = new Set(all.map(({ grantee }) => grantee));
  const on = `${column ? ` (${column})` : ''} ON ${target}`;
  const statements = [...grantees].map((grantee) => `REVOKE ALL${on} FROM ${role(grantee)}`);
  const given = wanted ?? standard;
  for (const { grantee, privileges, grantable } of given) {
    if (privileges.length === 0) continue;
    const list = privileges.map((privilege) => (column ? `${privilege} (${column})` : privilege)).join(', ');
    statements.push(`GRANT ${list} ON ${target} TO ${role(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  if (present.some(({ grantee }) => grantee === 'OWNER') && !given.some(({ grantee }) => grantee === 'OWNER'))
    statements.push(`GRANT ALL ON ${target} TO CURRENT_USER`);
  return statements;
}
