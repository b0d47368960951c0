-- The attributes that a token may read: names and paths separated by spaces. NULL: all.
ALTER TABLE tokens ADD COLUMN fields TEXT;
