-- Whether several groups of a tenant may have the same displayName.
ALTER TABLE tenants ADD COLUMN group_names TEXT NOT NULL DEFAULT 'any' CHECK (group_names IN ('any', 'unique'));

DROP TRIGGER tenants_access_changed;
CREATE TRIGGER tenants_access_changed AFTER UPDATE OF compatibility, patch_answer, group_names ON tenants BEGIN
    UPDATE access_epochs SET epoch = epoch + 1 WHERE tenant_id = NEW.id;
END;
