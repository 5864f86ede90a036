-- Undoes 0013_sessions.

DROP TABLE session_recordings;
DROP TABLE accounting;
DROP TABLE used_refresh_tokens;
DROP TABLE session_tokens;
DROP TABLE session_permissions;
DROP TABLE kasm_attributes;
DROP TABLE kasms;
