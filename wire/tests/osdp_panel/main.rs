//! The control panel against scripted readers, attackers and bad cables, in virtual time.

mod attacks;
mod behaviour;
mod peer;
mod pitfalls;
