-- Labels, and what they are attached to.

CREATE TABLE labels (
    label_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    name     varchar NOT NULL
);
COMMENT ON TABLE labels IS 'Labels that administrators can attach to objects.';

CREATE TABLE labeled_objects (
    labeled_object_id uuid    DEFAULT gen_random_uuid() PRIMARY KEY,
    label_id          uuid    NOT NULL REFERENCES labels (label_id),
    object_type       varchar NOT NULL,
    object_id         uuid    NOT NULL,
    object_property   varchar NOT NULL
);
COMMENT ON TABLE labeled_objects IS 'Which labels are attached to which objects.';
COMMENT ON COLUMN labeled_objects.object_id IS
    'Id of the labelled row; object_type says in which table, so there is no foreign key.';
CREATE INDEX kasm_db_labeled_objects_label_id_idx ON labeled_objects (label_id);
