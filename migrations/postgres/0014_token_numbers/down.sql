DROP TRIGGER tokens_numbered ON tokens;
DROP FUNCTION tokens_numbered();
DROP TABLE token_numbers;
DROP INDEX tokens_number_idx;
ALTER TABLE tokens DROP COLUMN number;
