//! Sessions: alone against a hand-made peer, and two of them through a connection that breaks.

mod cuts;
mod greeting;
mod rig;
mod streams;
mod time;
