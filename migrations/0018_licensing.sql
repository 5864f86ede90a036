-- Licensing: licences of the installation. The published schema leaves this table out and nothing is known of its
-- columns; the table is a placeholder (docs/ASSUMPTIONS.md, section Schema).

CREATE TABLE licenses (
    license_id uuid DEFAULT gen_random_uuid()
);
COMMENT ON TABLE licenses IS 'Licences of the installation. Placeholder: only the name of the table is known.';
COMMENT ON COLUMN licenses.license_id IS
    'Assumed, after the pattern of the other tables; hence nullable and without a key.';
