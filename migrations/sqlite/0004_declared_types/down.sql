ALTER TABLE tenants DROP COLUMN index_epoch;
DROP INDEX attributes_num_idx;
DROP TABLE indexes;
DROP TABLE unique_values;
