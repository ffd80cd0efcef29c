//! One test for each pitfall that users of other implementations reported.
