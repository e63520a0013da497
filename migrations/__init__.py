"""The database's schema, version by version; run by storage.schema."""
