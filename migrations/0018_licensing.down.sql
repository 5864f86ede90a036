-- Undoes 0018_licensing.

DROP TABLE licenses;
