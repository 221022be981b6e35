"""What is true of the data: row types, columns, manifest, problems. No files, no network, no clock."""

KIT_VERSION = "0.1.0"
SCHEMA_VERSION = 1
