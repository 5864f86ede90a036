-- Undoes 0017_logging.

DROP TABLE logs;
