-- The scope `operator` manages every tenant. Until now that was what `admin` meant for a token of the
-- tenant `default`, so those that are in use keep it.
UPDATE tokens SET scopes = scopes || ' operator'
WHERE tenant_id = 1 AND revoked IS NULL
    AND (' ' || scopes || ' ') LIKE '% admin %' AND (' ' || scopes || ' ') NOT LIKE '% operator %';
