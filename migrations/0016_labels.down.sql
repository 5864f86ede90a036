-- Undoes 0016_labels.

DROP TABLE labeled_objects;
DROP TABLE labels;
