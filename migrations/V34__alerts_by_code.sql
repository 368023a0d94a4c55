-- "The alert W1AE2", as people read it out to each other.
CREATE INDEX alerts_code ON alerts (code);
