DROP TRIGGER tenants_access_changed ON tenants;
CREATE TRIGGER tenants_access_changed AFTER UPDATE OF compatibility, patch_answer ON tenants
    FOR EACH ROW EXECUTE FUNCTION tenants_access_changed();
ALTER TABLE tenants DROP COLUMN group_names;
