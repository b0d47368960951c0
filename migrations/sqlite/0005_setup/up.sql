-- The state of `rollcall setup` for an Okta org: what it created there, its progress, and every write
-- that it sent.

CREATE TABLE setups (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    org TEXT NOT NULL,
    state TEXT NOT NULL,
    modified BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, org)
) WITHOUT ROWID;

-- A row is inserted before a write is sent and completed by the response: a write without `ended`
-- may have been done or not.
CREATE TABLE setup_writes (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    org TEXT NOT NULL,
    step TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    began BIGINT NOT NULL,
    ended BIGINT,
    status BIGINT,
    request_id TEXT,
    error_code TEXT,
    error_id TEXT
);
CREATE INDEX setup_writes_org_idx ON setup_writes (tenant_id, org, id);

-- Times and counts of authenticated requests, by kind and token, so that another process can see
-- the mistakes of a client.
-- Tenant 0 and no token if the credential was unknown.
CREATE TABLE arrivals (
    tenant_id BIGINT NOT NULL,
    token_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_id, kind)
) WITHOUT ROWID;
