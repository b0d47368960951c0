ALTER TABLE tenants DROP COLUMN patch_answer;
ALTER TABLE tenants DROP COLUMN compatibility;
