-- What a tenant stores, in bytes, and how much it may: NULL is the limit of the settings, 0 is none.
-- Each write counts what it adds and removes. A measurement, which runs beside the writes, corrects
-- the numbers, at first from 0, and after older versions have written; `measured` is how often it did.
ALTER TABLE tenants ADD COLUMN document_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN history_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN measured BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN quota_bytes BIGINT;
