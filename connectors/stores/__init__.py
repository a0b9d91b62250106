"""Stores of objects that fsspec knows: S3, Azure Blob, the web, and others."""
