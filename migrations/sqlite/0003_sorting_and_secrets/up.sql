-- Secrets that all nodes share.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    created BIGINT NOT NULL
) WITHOUT ROWID;

-- Lists in the order of an attribute: equal and missing values are in the order of ids.
DROP INDEX resources_external_id_idx;
CREATE INDEX resources_external_id_idx ON resources (tenant_id, resource_type, external_id, id);
DROP INDEX resources_display_name_idx;
CREATE INDEX resources_display_name_idx ON resources (tenant_id, resource_type, display_name, id);
CREATE INDEX resources_created_idx ON resources (tenant_id, resource_type, created, id);
CREATE INDEX resources_modified_idx ON resources (tenant_id, resource_type, modified, id);
