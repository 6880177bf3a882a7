"""The mail servers of a firm, for tests."""
