import { expect, it } from 'vitest';
import { EMPTY_SCHEMA, type Grant, type Schema } from '../../src/schema/model.js';
import { withoutDefaultGrants } from '../../src/schema/ownership.js';

const READER: Grant = { grantee: 'reader', privileges: ['EXECUTE'] };
const EVERYBODY: Grant = { grantee: 'PUBLIC', privileges: ['EXECUTE'] };
const ownership = {
  ofOthers: new Set<string>(),
  defaults: [{ kind: 'routine' as const, schema: 'public', grants: [READER], replaces: false }],
};

function functions(grants: Record<string, Grant[] | undefined>): Schema {
  const routine = { schema: 'public', name: 'f', kind: 'function' as const, definition: 'CREATE OR REPLACE FUNCTION' };
  return {
    ...EMPTY_SCHEMA,
    routines: Object.entries(grants).map(([types, given]) => ({ ...routine, arguments: types, grants: given })),
  };
}

it('holds each function against the one with the same arguments, when default privileges are taken off', () => {
  const expected = functions({ integer: undefined, text: [EVERYBODY, READER] });
  const actual = functions({ integer: [EVERYBODY, READER], text: [EVERYBODY, READER] });
  expect(withoutDefaultGrants(actual, expected, ownership)).toEqual({
    schema: expected,
    found: ['EXECUTE on every routine for reader'],
  });
});
