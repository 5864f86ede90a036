-- Logging: the log that the application keeps in the database. The published schema leaves this table out;
-- the columns are those that public statements of users name, and a key (docs/ASSUMPTIONS.md, section Schema).

CREATE TABLE logs (
    log_id      uuid      DEFAULT gen_random_uuid() PRIMARY KEY,
    ingest_date timestamp,
    levelname   text,
    metric_name text,
    data        jsonb
);
COMMENT ON TABLE logs IS 'Log of the application. Large, pruned by age; backups leave its rows out.';
COMMENT ON COLUMN logs.log_id IS 'Assumed, after the pattern of the other tables.';
COMMENT ON COLUMN logs.ingest_date IS 'When the entry was stored.';
COMMENT ON COLUMN logs.levelname IS 'Severity, for example ERROR.';
COMMENT ON COLUMN logs.data IS 'The entry itself: application, message and more.';
CREATE INDEX kasm_db_logs_ingest_date_idx ON logs (ingest_date);
