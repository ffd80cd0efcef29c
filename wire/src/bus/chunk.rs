//! A policy snapshot travels in pieces that the gateway asks for. The pieces need no authentication of their own: the
//! offer, which has one, names the digest of the whole.

use domain::GatewayId;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{CHUNK_BYTES, CHUNK_REQUEST_MAX, ChunkRequest, MESSAGE_MAX_BYTES, PolicyOffer};

/// The first bytes of a chunk; an envelope begins with `{`.
const MAGIC: &[u8; 4] = b"TWPC";
const HEADER_BYTES: usize = 4 + 8 + 4;

/// Whether these bytes on the policy channel are a chunk and not an envelope.
pub fn is_chunk(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// One piece: `TWPC`, version (u64, big endian), index (u32, big endian), data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChunk<'a> {
    /// Which snapshot.
    pub version: u64,
    /// Which piece, from 0.
    pub index: u32,
    /// [`CHUNK_BYTES`] bytes, fewer in the last piece.
    pub data: &'a [u8],
}

impl<'a> PolicyChunk<'a> {
    /// Piece `index` of a whole snapshot; `None` past its end.
    pub fn cut(version: u64, snapshot: &'a [u8], index: u32) -> Option<Self> {
        let data = snapshot.chunks(CHUNK_BYTES).nth(usize::try_from(index).ok()?)?;
        Some(Self { version, index, data })
    }

    /// The bytes for the line.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.data.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(self.data);
        out
    }

    /// Reads a chunk.
    ///
    /// # Errors
    /// If it is not one.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        if bytes.len() > MESSAGE_MAX_BYTES || bytes.len() > HEADER_BYTES + CHUNK_BYTES {
            return Err(ChunkError::Shape);
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(ChunkError::Shape)?;
        let (version, rest) = rest.split_first_chunk::<8>().ok_or(ChunkError::Shape)?;
        let (index, data) = rest.split_first_chunk::<4>().ok_or(ChunkError::Shape)?;
        Ok(Self { version: u64::from_be_bytes(*version), index: u32::from_be_bytes(*index), data })
    }
}

/// Why a chunk was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Not a chunk.
    #[error("the bytes are not a policy chunk")]
    Shape,
    /// Of another snapshot, out of turn or of a wrong length: ignore it, it will be asked for again.
    #[error("the policy chunk is not the one that was asked for")]
    OutOfTurn,
    /// The whole is not what was offered: begin again.
    #[error("the policy snapshot does not have the digest that was offered")]
    Digest,
}

/// Collects a snapshot, chunk after chunk in order. Memory: what has arrived, at most [`super::POLICY_MAX_BYTES`].
#[derive(Debug)]
pub struct PolicyAssembly {
    offer: PolicyOffer,
    received: Vec<u8>,
    next: u32,
}

impl PolicyAssembly {
    /// For an offer that was authenticated and is wanted.
    pub const fn new(offer: PolicyOffer) -> Self {
        Self { offer, received: Vec::new(), next: 0 }
    }

    /// What is being collected.
    pub const fn offer(&self) -> &PolicyOffer {
        &self.offer
    }

    /// What to ask for next; `None` once everything is here. Send it at the beginning, whenever
    /// [`PolicyAssembly::wants_request`] says so, and again when nothing came for a while.
    pub fn request(&self, gateway: &GatewayId) -> Option<ChunkRequest> {
        let missing = self.offer.chunks().checked_sub(self.next).filter(|missing| *missing > 0)?;
        let (version, first, count) = (self.offer.version, self.next, missing.min(CHUNK_REQUEST_MAX));
        Some(ChunkRequest { gateway: gateway.clone(), version, first, count })
    }

    /// Whether the chunks of the last request have all come and more are missing.
    pub fn wants_request(&self) -> bool {
        self.next.is_multiple_of(CHUNK_REQUEST_MAX) && self.next < self.offer.chunks()
    }

    /// Takes a chunk; gives the whole, checked against the offered digest, with the last one.
    ///
    /// # Errors
    /// [`ChunkError::OutOfTurn`] is harmless; after [`ChunkError::Digest`] the collection is empty again.
    pub fn take(&mut self, chunk: &PolicyChunk<'_>) -> Result<Option<Vec<u8>>, ChunkError> {
        let total = usize::try_from(self.offer.bytes).map_err(|_| ChunkError::OutOfTurn)?;
        let expected = total.saturating_sub(self.received.len()).min(CHUNK_BYTES);
        if chunk.version != self.offer.version || chunk.index != self.next || chunk.data.len() != expected {
            return Err(ChunkError::OutOfTurn);
        }
        self.received.extend_from_slice(chunk.data);
        self.next += 1;
        if self.received.len() < total {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.received);
        self.next = 0;
        if <[u8; 32]>::from(Sha256::digest(&whole)) == self.offer.digest {
            Ok(Some(whole))
        } else {
            Err(ChunkError::Digest)
        }
    }
}
