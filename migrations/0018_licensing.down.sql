-- Undoes 0018_licensing.

DROP TABLE installation;
DROP TABLE licenses;
