-- Webhook subscriptions and their progress. The table `changes` is the outbox.
CREATE TABLE subscriptions (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    -- Words with blanks between them; empty: all.
    kinds TEXT NOT NULL,
    resource_types TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Signs beside the new one for a while after a rotation.
    old_secret TEXT,
    old_secret_until BIGINT,
    created BIGINT NOT NULL,
    -- Why nothing is sent any more. NULL: it is.
    stopped TEXT,
    -- The number of the last change that is done with.
    done_seq BIGINT NOT NULL,
    -- Of the change that comes next.
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 0,
    failure TEXT,
    -- The node that delivers at the moment, and until when nobody else may.
    owner TEXT,
    owner_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX subscriptions_name_key ON subscriptions (tenant_id, name);

-- Changes whose delivery was given up.
CREATE TABLE dead_letters (
    tenant_id BIGINT NOT NULL,
    subscription_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failure TEXT NOT NULL,
    -- Whether somebody asked to try once more.
    wanted BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, seq)
) WITHOUT ROWID;
