//! One test for each known attack on OSDP (Bishop Fox, "Badge of Shame", and later reports),
//! numbered as in the project's security notes.

use wire::osdp::frame::{SecurityBlock, scs};
use wire::osdp::reply::Reply;

use crate::peer::reply_frame;

pub fn forged_handshake_block() -> impl Fn(u8) -> Vec<u8> {
    |sequence| {
        let block = SecurityBlock { kind: scs::INITIAL_RMAC, data: &[1] };
        reply_frame(0, sequence, Some(block), &Reply::Ack)
    }
}
