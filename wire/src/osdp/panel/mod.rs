//! The control panel of one line. In preparation.
