DROP TRIGGER tenants_access_changed;
CREATE TRIGGER tenants_access_changed AFTER UPDATE OF compatibility, patch_answer ON tenants BEGIN
    UPDATE access_epochs SET epoch = epoch + 1 WHERE tenant_id = NEW.id;
END;
ALTER TABLE tenants DROP COLUMN group_names;
