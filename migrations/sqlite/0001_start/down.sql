DROP TABLE walks;
DROP TABLE tokens;
DROP TABLE counts;
DROP TABLE changes;
DROP TABLE members;
DROP TABLE attributes;
DROP TABLE resources;
DROP TABLE tenants;
