-- Undoes 0010_images_and_registries.

DROP INDEX kasm_db_user_attributes_default_image_idx;
ALTER TABLE user_attributes DROP CONSTRAINT user_attributes_default_image_fkey;
DROP INDEX kasm_db_server_image_slots_image_id_idx;
ALTER TABLE server_image_slots DROP CONSTRAINT server_image_slots_image_id_fkey;

DROP TABLE group_images;
DROP TABLE image_attributes;
DROP TABLE images;
DROP TABLE registries;
