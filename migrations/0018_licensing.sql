-- Licensing: licences of the installation, and which installation it is. The published schema leaves both tables out. Of
-- licenses nothing but the name is known, so it is a placeholder (docs/ASSUMPTIONS.md, section Schema).

CREATE TABLE licenses (
    license_id uuid DEFAULT gen_random_uuid() PRIMARY KEY
);
COMMENT ON TABLE licenses IS 'Licences of the installation. Placeholder: only the name of the table is known.';
COMMENT ON COLUMN licenses.license_id IS 'Assumed, after the pattern of the other tables.';

CREATE TABLE installation (
    installation_id uuid DEFAULT gen_random_uuid() PRIMARY KEY
);
COMMENT ON TABLE installation IS 'The installation itself: one row, whose id never changes.';
COMMENT ON COLUMN installation.installation_id IS
    'What Kasm encrypts stored values by. Another id makes them unreadable.';
