import { expect, it } from 'vitest';
import { recordFinder } from '../../src/seed/locate-rows.js';
import { recorded, resolved, table } from '../fixtures/seed/values.js';

const ZONES = table('zones', { zone_id: 'uuid!', zone_name: 'varchar!' });
const TOKEN = '${uuid:z:1}';
const record = recorded(ZONES, 'z1', '["one"]', { zone_id: 'z1', zone_name: 'one' }, { zone_id: TOKEN });
const find = recordFinder([record]);

it.each([
  ['by the name that the documents have for it', { zone_id: 'z2', zone_name: 'one' }, {}, record],
  ['by the token of its id, when its name is new', { zone_id: 'z2', zone_name: 'uno' }, { zone_id: TOKEN }, record],
  ['by its id itself', { zone_id: 'z1', zone_name: 'uno' }, {}, record],
  ['not, when nothing of it is known', { zone_id: 'z2', zone_name: 'two' }, {}, undefined],
])('a row is found %s', (_, texts, cells, found) => {
  const [row, made] = resolved(ZONES, texts, { ...texts, ...cells });
  expect(find(row, made)).toBe(found);
});

it('a row of another table is another row', () => {
  const [row, made] = resolved(table('groups', { group_id: 'uuid!', name: 'varchar!' }), {
    group_id: 'z1',
    name: 'one',
  });
  expect(find(row, made)).toBeUndefined();
});

it('a row that was not there when it was recorded is found by its name alone', () => {
  const [row, made] = resolved(ZONES, { zone_id: '', zone_name: 'two' });
  expect(recordFinder([recorded(ZONES, '', '["one"]', {})])(row, made)).toBeUndefined();
});
