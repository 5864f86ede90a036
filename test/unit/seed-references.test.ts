import { expect, it } from 'vitest';
import { References } from '../../src/seed/references.js';
import { resolved, table } from '../fixtures/seed/values.js';

const ZONES = table('zones', { zone_id: 'uuid!', zone_name: 'varchar!' });
const MANAGERS = table('managers', { manager_id: 'uuid!', zone_id: 'uuid!', group_id: 'uuid' }, [
  ['zone_id', 'zones', 'zone_id'],
  ['group_id', 'groups', 'group_id'],
]);
const GROUP_IMAGES = table('group_images', { group_image_id: 'uuid!', group_id: 'uuid' }, [
  ['group_id', 'groups', 'group_id'],
]);
const GROUPS = table('groups', { group_id: 'uuid!', name: 'varchar!' });

const [MANAGER, MADE] = resolved(MANAGERS, { manager_id: 'm', zone_id: 'made', group_id: 'g' });

it('lead where the documents lead, as long as nothing else is known', () => {
  const followed = new References(new Map()).follow(MANAGER, MADE);
  expect(followed).toEqual({ values: MANAGER.values, texts: MADE, gone: false });
});

it('lead to the key that the database has for a row, and the row itself is not changed', () => {
  const references = new References(new Map());
  references.lead(ZONES, { zone_id: 'made' }, 'theirs');
  const { values, texts } = references.follow(MANAGER, MADE);
  expect([values.zone_id, texts.zone_id]).toEqual(['theirs', 'theirs']);
  expect([MANAGER.values.zone_id, MADE.zone_id]).toEqual(['made', 'made']);
});

it('to a row that is not there any more: what requires it goes, what does not does without', () => {
  const references = new References(new Map());
  references.lead(GROUPS, { group_id: 'g' }, null);
  const without = references.follow(MANAGER, MADE);
  expect(without).toMatchObject({ gone: false, texts: { group_id: null } });
  expect(without.values).not.toHaveProperty('group_id');
  references.lead(ZONES, { zone_id: 'made' }, null);
  expect(references.follow(MANAGER, MADE).gone).toBe(true);
});

it('that are a part of what a row is known by are required as well', () => {
  const references = new References(new Map());
  references.lead(GROUPS, { group_id: 'g' }, null);
  const [row, made] = resolved(GROUP_IMAGES, { group_image_id: 'i', group_id: 'g' });
  expect(references.follow(row, made).gone).toBe(true);
});

it('may lead to a row of the database, and to one that was inserted before', () => {
  const references = new References(new Map([['zones', new Map([['z1', { zone_id: 'z1' }]])]]));
  const isThere = (value: string) => references.isThere('zones', 'zone_id', value);
  expect([isThere('z1'), isThere('z2')]).toEqual([true, false]);
  references.insert(ZONES, { zone_id: 'z2' });
  expect(isThere('z2')).toBe(true);
});
