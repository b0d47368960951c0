-- Whether several groups of a tenant may have the same displayName.
ALTER TABLE tenants ADD COLUMN group_names TEXT COLLATE "C" NOT NULL DEFAULT 'any' CHECK (group_names IN ('any', 'unique'));

DROP TRIGGER tenants_access_changed ON tenants;
CREATE TRIGGER tenants_access_changed AFTER UPDATE OF compatibility, patch_answer, group_names ON tenants
    FOR EACH ROW EXECUTE FUNCTION tenants_access_changed();
