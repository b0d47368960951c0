-- The state of `rollcall setup` for an Okta org: what it created there, its progress, and every write
-- that it sent.

CREATE TABLE setups (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    org TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    modified BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, org)
);

-- A row is inserted before a write is sent and completed by the response: a write without `ended`
-- may have been done or not.
CREATE TABLE setup_writes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    org TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    began BIGINT NOT NULL,
    ended BIGINT,
    status BIGINT,
    request_id TEXT COLLATE "C",
    error_code TEXT COLLATE "C",
    error_id TEXT COLLATE "C"
);
CREATE INDEX setup_writes_org_idx ON setup_writes (tenant_id, org, id);

-- Times and counts of authenticated requests, by kind and token, so that another process can see
-- the mistakes of a client.
-- Tenant 0 and no token if the credential was unknown.
CREATE TABLE arrivals (
    tenant_id BIGINT NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_id, kind)
) WITH (fillfactor = 50);
