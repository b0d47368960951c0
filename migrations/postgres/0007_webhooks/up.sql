-- Webhook subscriptions and their progress. The table `changes` is the outbox.
CREATE TABLE subscriptions (
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    -- Words with blanks between them; empty: all.
    kinds TEXT COLLATE "C" NOT NULL,
    resource_types TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    -- Signs beside the new one for a while after a rotation.
    old_secret TEXT COLLATE "C",
    old_secret_until BIGINT,
    created BIGINT NOT NULL,
    -- Why nothing is sent any more. NULL: it is.
    stopped TEXT COLLATE "C",
    -- The number of the last change that is done with.
    done_seq BIGINT NOT NULL,
    -- Of the change that comes next.
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 0,
    failure TEXT COLLATE "C",
    -- The node that delivers at the moment, and until when nobody else may.
    owner TEXT COLLATE "C",
    owner_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX subscriptions_name_key ON subscriptions (tenant_id, name);

-- Changes whose delivery was given up.
CREATE TABLE dead_letters (
    tenant_id BIGINT NOT NULL,
    subscription_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failure TEXT COLLATE "C" NOT NULL,
    -- Whether somebody asked to try once more.
    wanted BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, seq)
);
