ALTER TABLE tenants DROP COLUMN quota_bytes;
ALTER TABLE tenants DROP COLUMN measured;
ALTER TABLE tenants DROP COLUMN history_bytes;
ALTER TABLE tenants DROP COLUMN document_bytes;
