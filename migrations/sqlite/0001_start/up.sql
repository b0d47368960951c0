-- Times are microseconds since the epoch, UTC. tenants.change_seq is the number of the last change.

CREATE TABLE tenants (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    change_seq BIGINT NOT NULL DEFAULT 0
);
INSERT INTO tenants (id, name, created) VALUES (1, 'default', CAST(strftime('%s', 'now') AS INTEGER) * 1000000);

CREATE TABLE resources (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    active BOOLEAN,
    user_name TEXT,
    external_id TEXT,
    display_name TEXT,
    label TEXT,
    password_hash TEXT,
    doc TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX resources_user_name_key ON resources (tenant_id, resource_type, user_name);
CREATE INDEX resources_type_idx ON resources (tenant_id, resource_type, id);
CREATE INDEX resources_external_id_idx ON resources (tenant_id, resource_type, external_id);
CREATE INDEX resources_display_name_idx ON resources (tenant_id, resource_type, display_name);

CREATE TABLE attributes (
    tenant_id BIGINT NOT NULL,
    resource_id TEXT NOT NULL,
    path TEXT NOT NULL,
    position INTEGER NOT NULL,
    text TEXT,
    num DOUBLE,
    PRIMARY KEY (tenant_id, resource_id, path, position)
) WITHOUT ROWID;
CREATE INDEX attributes_text_idx ON attributes (tenant_id, path, text, resource_id);

CREATE TABLE members (
    tenant_id BIGINT NOT NULL,
    group_id TEXT NOT NULL,
    member_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    display TEXT,
    PRIMARY KEY (tenant_id, group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX members_member_idx ON members (tenant_id, member_id, group_id);
-- The groups in groups: few, and the only rows that filters on User.groups follow.
CREATE INDEX members_nested_idx ON members (tenant_id, group_id, member_id) WHERE kind = 'Group';

CREATE TABLE changes (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    seq BIGINT NOT NULL,
    resource_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX changes_resource_idx ON changes (tenant_id, resource_id, seq);

-- The number of resources of each type, and of those deleted so far.
CREATE TABLE counts (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    resource_type TEXT NOT NULL,
    live BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_type)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    last_used BIGINT,
    revoked BIGINT
);
CREATE UNIQUE INDEX tokens_hash_key ON tokens (hash);
-- The name of a revoked token can be used again.
CREATE UNIQUE INDEX tokens_name_key ON tokens (tenant_id, name) WHERE revoked IS NULL;

-- The position of a client that pages by startIndex. It may be lost at any time.
CREATE TABLE walks (
    tenant_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    last_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
) WITHOUT ROWID;
CREATE INDEX walks_at_idx ON walks (at);
