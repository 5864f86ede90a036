import type { DifferenceInfo } from '../output/result.js';
import type { Schema, Table } from './model.js';
import { objectsOf, type SchemaObject } from './objects.js';

export type Difference = DifferenceInfo;

/**
 * Compares two catalogs; pure. What comes with a missing or extra table is not listed again.
 * @returns sorted by table, then object
 */
export function diff(expected: Schema, actual: Schema): Difference[] {
  const same = sameTables(expected, actual);
  const others = (schema: Schema) => ({ ...schema, tables: schema.tables.filter((table) => !same.has(idOf(table))) });
  return diffObjects(objectsOf(others(expected)), objectsOf(others(actual)));
}

const idOf = ({ schema, name }: Table) => `${schema}.${name}`;

/** Tables that are the same to the letter: nearly all are, and taking those apart is most of the work. */
function sameTables(expected: Schema, actual: Schema): ReadonlySet<string> {
  const texts = new Map(expected.tables.map((table) => [idOf(table), JSON.stringify(table)]));
  return new Set(actual.tables.filter((table) => texts.get(idOf(table)) === JSON.stringify(table)).map(idOf));
}

function diffObjects(
  expected: ReadonlyMap<string, SchemaObject>,
  actual: ReadonlyMap<string, SchemaObject>,
): Difference[] {
  const differences: Difference[] = [];
  for (const object of expected.values()) {
    const found = actual.get(object.id);
    if (found) differences.push(...changes(object, found));
    else if (!object.parent || actual.has(object.parent)) differences.push(only('missing', object));
  }
  for (const object of actual.values()) {
    if (!expected.has(object.id) && (!object.parent || expected.has(object.parent)))
      differences.push(only('extra', object));
  }
  const key = ({ group, object, property = '' }: Difference) => [group, object, property];
  return differences.sort((a, b) => compare(key(a), key(b)));
}

function only(change: 'missing' | 'extra', { id, group }: SchemaObject): Difference {
  return { change, object: id, group };
}

function changes(expected: SchemaObject, actual: SchemaObject): Difference[] {
  const properties = new Set([...Object.keys(expected.facts), ...Object.keys(actual.facts)]);
  return [...properties].flatMap((property) => {
    const [before, now] = [expected.facts[property], actual.facts[property]];
    if (before === now) return [];
    return [
      {
        change: 'changed' as const,
        object: expected.id,
        group: expected.group,
        property,
        ...(before === undefined ? {} : { expected: before }),
        ...(now === undefined ? {} : { actual: now }),
      },
    ];
  });
}

function compare(a: string[], b: string[]): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return (a[i] as string) < (b[i] as string) ? -1 : 1;
  }
  return 0;
}
