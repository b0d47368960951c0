-- The settings for a tenant's clients.

ALTER TABLE tenants ADD COLUMN compatibility TEXT COLLATE "C" NOT NULL DEFAULT 'tolerant' CHECK (compatibility IN ('tolerant', 'strict'));
ALTER TABLE tenants ADD COLUMN patch_answer TEXT COLLATE "C" NOT NULL DEFAULT 'resource' CHECK (patch_answer IN ('resource', 'no-content'));
