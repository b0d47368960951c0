-- What `rollcall setup` knows of an Okta org: what it made there, how far it got, and every write that it sent.

CREATE TABLE setups (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    org TEXT NOT NULL,
    state TEXT NOT NULL,
    modified BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, org)
) WITHOUT ROWID;

-- A row before the write is sent, completed by the answer: one without `ended` may have been done or not.
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

-- When requests came and how they were authenticated, by kind and token, so that another process can tell what a client does wrong.
-- Tenant 0 and no token where the credential was nobody's.
CREATE TABLE arrivals (
    tenant_id BIGINT NOT NULL,
    token_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_id, kind)
) WITHOUT ROWID;
