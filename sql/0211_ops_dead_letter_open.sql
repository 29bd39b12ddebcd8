-- Counting and listing what waits for a person must not read what was settled long ago.
create index if not exists dead_letter_open on ops.dead_letter (fingerprint, id) where state = 'open';
