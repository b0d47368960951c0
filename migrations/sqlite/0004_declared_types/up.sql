-- Types and extensions that the operator declares.

-- The values that no two resources may share. `path` says within which scope: a type, or all
-- types.
CREATE TABLE unique_values (
    tenant_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    held TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, path, held)
) WITHOUT ROWID;
CREATE INDEX unique_values_resource_idx ON unique_values (tenant_id, resource_id);

-- The paths that have rows in `attributes`, with their rules, and the progress of indexing older
-- documents.
CREATE TABLE indexes (
    resource_type TEXT NOT NULL,
    path TEXT NOT NULL,
    rule TEXT NOT NULL,
    done BOOLEAN NOT NULL,
    tenant_id BIGINT NOT NULL DEFAULT 0,
    last_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (resource_type, path)
) WITHOUT ROWID;
INSERT INTO indexes (resource_type, path, rule, done) VALUES
    ('User', 'emails.value', 'folded', TRUE),
    ('User', 'emails.type', 'folded', TRUE),
    ('User', 'phoneNumbers.value', 'folded', TRUE),
    ('User', 'name.familyName', 'folded', TRUE),
    ('User', 'name.givenName', 'folded', TRUE),
    ('User', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber', 'folded', TRUE),
    ('User', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department', 'folded', TRUE),
    ('User', 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value', 'exact', TRUE);

-- Numbers, times and booleans; texts already have an index.
CREATE INDEX attributes_num_idx ON attributes (tenant_id, path, num, resource_id) WHERE num IS NOT NULL;

-- Advances when `indexes` changes, so that a node with other types finds out with its next write.
ALTER TABLE tenants ADD COLUMN index_epoch BIGINT NOT NULL DEFAULT 1;
