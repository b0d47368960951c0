DROP TRIGGER tenants_limits_changed ON tenants;
ALTER TABLE tenants DROP COLUMN attribute_values_limit;
ALTER TABLE tenants DROP COLUMN document_limit_bytes;
