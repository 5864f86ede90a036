-- Undoes 0008_web_filter.

DROP TABLE domains;
DROP TABLE filter_policies;
