-- Limits on the resources of a tenant; NULL is the service's setting.
ALTER TABLE tenants ADD COLUMN document_limit_bytes BIGINT;
ALTER TABLE tenants ADD COLUMN attribute_values_limit BIGINT;

CREATE TRIGGER tenants_limits_changed AFTER UPDATE OF document_limit_bytes, attribute_values_limit ON tenants
    FOR EACH ROW
    WHEN (OLD.document_limit_bytes IS DISTINCT FROM NEW.document_limit_bytes
        OR OLD.attribute_values_limit IS DISTINCT FROM NEW.attribute_values_limit)
    EXECUTE FUNCTION tenants_access_changed();
