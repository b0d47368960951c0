-- The access epoch: it advances with every change of a token or of a tenant's settings, and nodes
-- cache callers until then. Triggers advance it whichever program, of any version, makes the change.
CREATE TABLE access_epochs (
    tenant_id BIGINT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    epoch BIGINT NOT NULL
);
INSERT INTO access_epochs (tenant_id, epoch) SELECT id, 1 FROM tenants;

CREATE FUNCTION tenants_access_born() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO access_epochs (tenant_id, epoch) VALUES (NEW.id, 1);
    RETURN NULL;
END $$;
CREATE FUNCTION tenants_access_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_epochs SET epoch = epoch + 1 WHERE tenant_id = NEW.id;
    RETURN NULL;
END $$;
CREATE FUNCTION tokens_access_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_epochs SET epoch = epoch + 1 WHERE tenant_id = OLD.tenant_id;
    RETURN NULL;
END $$;

CREATE TRIGGER tenants_access_born AFTER INSERT ON tenants
    FOR EACH ROW EXECUTE FUNCTION tenants_access_born();
CREATE TRIGGER tenants_access_changed AFTER UPDATE OF compatibility, patch_answer ON tenants
    FOR EACH ROW EXECUTE FUNCTION tenants_access_changed();
CREATE TRIGGER tokens_access_changed AFTER UPDATE OF tenant_id, name, hash, scopes, expires, revoked, fields ON tokens
    FOR EACH ROW EXECUTE FUNCTION tokens_access_changed();
CREATE TRIGGER tokens_access_gone AFTER DELETE ON tokens
    FOR EACH ROW EXECUTE FUNCTION tokens_access_changed();
