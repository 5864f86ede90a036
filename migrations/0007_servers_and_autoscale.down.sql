-- Undoes 0007_servers_and_autoscale.

DROP TABLE server_image_slots;
DROP TABLE user_server_assignments;
DROP TABLE servers;
DROP TABLE server_templates;
DROP TABLE schedules;
DROP TABLE autoscale_configs;
DROP TABLE server_pools;
