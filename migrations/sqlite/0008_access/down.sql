DROP TRIGGER tokens_access_gone;
DROP TRIGGER tokens_access_changed;
DROP TRIGGER tenants_access_changed;
DROP TRIGGER tenants_access_born;
DROP TABLE access_epochs;
