-- Tokens are numbered in the order in which they become visible, so that a node reads only those
-- that it does not have yet. A trigger does it whichever program, of any version, creates the token.
ALTER TABLE tokens ADD COLUMN number BIGINT;
UPDATE tokens SET number = numbered.number
FROM (SELECT id, row_number() OVER (ORDER BY created, id) AS number FROM tokens) AS numbered
WHERE tokens.id = numbered.id;
CREATE INDEX tokens_number_idx ON tokens (number);

CREATE TABLE token_numbers (
    last BIGINT NOT NULL
);
INSERT INTO token_numbers (last) SELECT coalesce(max(number), 0) FROM tokens;

CREATE TRIGGER tokens_numbered AFTER INSERT ON tokens BEGIN
    UPDATE token_numbers SET last = last + 1;
    UPDATE tokens SET number = (SELECT last FROM token_numbers) WHERE id = NEW.id;
END;
