UPDATE tokens SET scopes = trim(replace(' ' || scopes || ' ', ' operator ', ' '))
WHERE (' ' || scopes || ' ') LIKE '% operator %';
