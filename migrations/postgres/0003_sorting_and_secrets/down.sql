DROP INDEX resources_modified_idx;
DROP INDEX resources_created_idx;
DROP INDEX resources_display_name_idx;
CREATE INDEX resources_display_name_idx ON resources (tenant_id, resource_type, display_name);
DROP INDEX resources_external_id_idx;
CREATE INDEX resources_external_id_idx ON resources (tenant_id, resource_type, external_id);
DROP TABLE secrets;
