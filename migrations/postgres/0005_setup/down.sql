DROP TABLE arrivals;
DROP TABLE setup_writes;
DROP TABLE setups;
