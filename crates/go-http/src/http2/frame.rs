//! The layout of frames (RFC 9113, sections 4 and 6).

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY_FRAME: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// Of RFC 9218.
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 32;

/// The first stream of a connection.
pub(super) const STREAM: u32 = 1;

/// Largest frame that either side sends unasked.
pub(super) const MAX_FRAME: usize = 16 << 10;

/// The head of a frame.
pub(super) struct FrameHead {
    /// Length of what follows it.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    pub(super) const LENGTH: usize = 9;

    /// `None` as long as it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [a, b, c, kind, flags, s1, s2, s3, s4, ..] => Some(Self {
                length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
                kind: *kind,
                flags: *flags,
                stream: u32::from_be_bytes([*s1, *s2, *s3, *s4]) & 0x7fff_ffff,
            }),
            _ => None,
        }
    }
}

/// Appends a frame.
pub(super) fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The first four bytes as a number.
pub(super) fn be32(bytes: &[u8]) -> Option<u32> {
    bytes
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .map(u32::from_be_bytes)
}
