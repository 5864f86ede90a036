import type { DifferenceInfo } from '../output/result.js';
import { dotted } from './ddl/names.js';
import type { Schema } from './model.js';
import { factsOf, objectsOf, type SchemaObject } from './objects.js';

export type Difference = DifferenceInfo;

/**
 * Compares two catalogs; pure. What comes with a missing or extra table is not listed again.
 * @returns sorted by table, then object
 */
export function diff(expected: Schema, actual: Schema): Difference[] {
  // Nearly all tables are the same to the letter, and taking them apart is most of the work.
  const texts = new Map(expected.tables.map((table) => [dotted(table), JSON.stringify(table)]));
  const same = new Set(
    actual.tables.filter((table) => texts.get(dotted(table)) === JSON.stringify(table)).map((table) => dotted(table)),
  );
  const rest = ({ tables, ...schema }: Schema) =>
    new Map(
      [...objectsOf({ ...schema, tables: tables.filter((table) => !same.has(dotted(table))) })].filter(
        ([, object]) => object.compared,
      ),
    );
  const [wanted, found] = [rest(expected), rest(actual)];
  const only = (change: 'missing' | 'extra', here: typeof wanted, there: typeof wanted): Difference[] =>
    [...here.values()]
      .filter(({ id, parent, comesAlong }) => !comesAlong && !there.has(id) && (!parent || there.has(parent)))
      .map(({ id, group }) => ({ change, object: id, group }));
  return [
    ...only('missing', wanted, found),
    ...only('extra', found, wanted),
    ...[...wanted.values()].flatMap((object) => changes(object, found.get(object.id))),
  ].sort(
    (a, b) => byText(a.group, b.group) || byText(a.object, b.object) || byText(a.property ?? '', b.property ?? ''),
  );
}

function changes(wanted: SchemaObject, found: SchemaObject | undefined): Difference[] {
  if (!found) return [];
  const [before, now] = [factsOf(wanted), factsOf(found)];
  return Object.keys({ ...before, ...now })
    .filter((property) => before[property] !== now[property])
    .map((property) => changed(wanted.id, wanted.group, property, before[property], now[property]));
}

/** A property that is not as it should be; undefined: it is not there. */
export function changed(
  object: string,
  group: string,
  property: string,
  expected: string | undefined,
  actual: string | undefined,
): Difference {
  return {
    ...{ change: 'changed', object, group, property },
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
  };
}

/** By code points, whatever the language of this machine. */
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
