DROP TRIGGER tokens_access_gone ON tokens;
DROP TRIGGER tokens_access_changed ON tokens;
DROP TRIGGER tenants_access_changed ON tenants;
DROP TRIGGER tenants_access_born ON tenants;
DROP FUNCTION tokens_access_changed();
DROP FUNCTION tenants_access_changed();
DROP FUNCTION tenants_access_born();
DROP TABLE access_epochs;
