//! Private brokers for tests.
