ALTER TABLE tenants DROP COLUMN index_epoch;
DROP TABLE indexes;
DROP TABLE unique_values;
