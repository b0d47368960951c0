-- What a token may read: attribute names and paths with blanks between them. NULL: everything.
ALTER TABLE tokens ADD COLUMN fields TEXT;
