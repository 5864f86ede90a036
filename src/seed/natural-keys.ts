import { dictionary } from '../app/dictionary.js';

/**
 * By what a row is recognised that was made by someone else, or whose id the documents don't say. Only where two rows with the same
 * values would be a fault of the configuration; other tables are recognised by their primary key alone. A table with no column here has one
 * row, whatever it says.
 */
export const NATURAL_KEYS = dictionary<readonly string[]>({
  api_configs: ['api_key'],
  group_images: ['group_id', 'image_id'],
  group_permissions: ['group_id', 'api_id', 'permission_id'],
  group_settings: ['group_id', 'name'],
  groups: ['name'],
  installation: [],
  registries: ['registry_url'],
  server_pools: ['server_pool_name'],
  settings: ['category', 'name'],
  user_groups: ['user_id', 'group_id'],
  users: ['username', 'realm'],
  zones: ['zone_name'],
});
