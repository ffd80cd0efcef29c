//! Looking for readers. In preparation.
