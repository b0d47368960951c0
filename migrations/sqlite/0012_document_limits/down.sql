DROP TRIGGER tenants_limits_changed;
ALTER TABLE tenants DROP COLUMN attribute_values_limit;
ALTER TABLE tenants DROP COLUMN document_limit_bytes;
