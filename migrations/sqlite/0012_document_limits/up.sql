-- Limits on the resources of a tenant; NULL is the service's setting.
ALTER TABLE tenants ADD COLUMN document_limit_bytes BIGINT;
ALTER TABLE tenants ADD COLUMN attribute_values_limit BIGINT;

CREATE TRIGGER tenants_limits_changed AFTER UPDATE OF document_limit_bytes, attribute_values_limit ON tenants
WHEN OLD.document_limit_bytes IS NOT NEW.document_limit_bytes
    OR OLD.attribute_values_limit IS NOT NEW.attribute_values_limit
BEGIN
    UPDATE access_epochs SET epoch = epoch + 1 WHERE tenant_id = NEW.id;
END;
