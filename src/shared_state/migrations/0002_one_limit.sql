-- One limit for each server: all workers together have so many requests under way, and all wait while it says so.

CREATE TABLE bbdl.server (
    origin text PRIMARY KEY,
    max_in_flight integer NOT NULL DEFAULT 16 CHECK (max_in_flight > 0),
    hold_until timestamptz NOT NULL DEFAULT '-infinity'
);
