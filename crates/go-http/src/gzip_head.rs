//! The head of a gzip stream (RFC 1952), read before anything is decompressed, because a body without one is not judged.

use std::io;

use flate2::Crc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is taken at once, and the longest name or comment; both as in Go's reader.
const PIECE: usize = 4096;
const MAX_TEXT: usize = 512;

const FLAG_HEAD_SUM: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

/// What is wrong with a compressed stream. Displays in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// It is empty.
    #[error("EOF")]
    Empty,
    /// It ends within a head or a trailer.
    #[error("unexpected EOF")]
    Cut,
    /// It does not begin as gzip does.
    #[error("gzip: invalid header")]
    Head,
    /// Sum or length of what was decompressed are not those of the trailer.
    #[error("gzip: invalid checksum")]
    Sum,
    /// It is no deflate: so many bytes of that were read.
    #[error("flate: corrupt input before offset {0}")]
    Data(u64),
    /// It ends within its deflate.
    #[error("unexpected EOF")]
    DataCut,
}

/// Why a head could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// It is not one.
    Wrong(DecompressError),
    /// The stream ended or failed.
    Io(io::Error),
}

/// Reads pieces until they have a whole head, and returns them.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ReadError> {
    let mut pieces = Vec::new();
    loop {
        pieces.reserve(PIECE);
        let mut piece = (&mut *stream).take(PIECE as u64);
        let bytes = piece.read_buf(&mut pieces).await.map_err(ReadError::Io)?;
        if bytes == 0 {
            return Err(ReadError::Wrong(match pieces.is_empty() {
                true => DecompressError::Empty,
                false => DecompressError::Cut,
            }));
        }
        if has_head(&pieces).map_err(ReadError::Wrong)? {
            return Ok(pieces);
        }
    }
}

/// Whether `data` begins with a whole head; false when more is to come.
fn has_head(data: &[u8]) -> Result<bool, DecompressError> {
    Ok(head_length(data)?.is_some())
}

/// The length of the head that `data` begins with, when it is there.
pub(crate) fn head_length(data: &[u8]) -> Result<Option<usize>, DecompressError> {
    let Some(fixed) = data.first_chunk::<10>() else {
        return Ok(None);
    };
    let [0x1f, 0x8b, 8, flags, ..] = *fixed else {
        return Err(DecompressError::Head);
    };
    let mut end = fixed.len();
    if flags & FLAG_EXTRA != 0 {
        let Some(length) = number_at(data, end) else {
            return Ok(None);
        };
        end += 2 + usize::from(length);
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag == 0 {
            continue;
        }
        let text = data.get(end..).unwrap_or_default();
        match text.iter().take(MAX_TEXT).position(|byte| *byte == 0) {
            Some(length) => end += length + 1,
            None if text.len() >= MAX_TEXT => return Err(DecompressError::Head),
            None => return Ok(None),
        }
    }
    if flags & FLAG_HEAD_SUM != 0 {
        let Some(told) = number_at(data, end) else {
            return Ok(None);
        };
        let mut sum = Crc::new();
        sum.update(data.get(..end).unwrap_or_default());
        if sum.sum() & 0xffff != u32::from(told) {
            return Err(DecompressError::Head);
        }
        end += 2;
    }
    Ok(Some(end).filter(|end| *end <= data.len()))
}

/// The two bytes at `start` as a number.
fn number_at(data: &[u8], start: usize) -> Option<u16> {
    let bytes = data.get(start..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";

    fn head(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut head = PLAIN.to_vec();
        head[3] = flags;
        [&head, rest].concat()
    }

    #[test]
    fn heads_are_known() {
        let with_sum = {
            let head = head(FLAG_NAME | FLAG_HEAD_SUM, b"a.txt\0");
            let mut sum = Crc::new();
            sum.update(&head);
            [head, (sum.sum() as u16).to_le_bytes().to_vec()].concat()
        };
        // about, data, whether it is a whole head
        #[rustfmt::skip]
        let rows = [
            ("plain", PLAIN.to_vec(), Ok(true)),
            ("the beginning of one", PLAIN[..9].to_vec(), Ok(false)),
            ("text", b"<html><body>".to_vec(), Err(DecompressError::Head)),
            ("another method", b"\x1f\x8b\x07\0\0\0\0\0\0\x03".to_vec(), Err(DecompressError::Head)),
            ("a name", head(FLAG_NAME, b"a.txt\0"), Ok(true)),
            ("half a name", head(FLAG_NAME, b"a.tx"), Ok(false)),
            ("an endless name", head(FLAG_NAME, &[b'a'; 512]), Err(DecompressError::Head)),
            ("a name and a comment", head(FLAG_NAME | FLAG_COMMENT, b"a\0b\0"), Ok(true)),
            ("a name without its comment", head(FLAG_NAME | FLAG_COMMENT, b"a\0"), Ok(false)),
            ("something extra", head(FLAG_EXTRA, b"\x02\0ab"), Ok(true)),
            ("half of it", head(FLAG_EXTRA, b"\x02\0a"), Ok(false)),
            ("without its length", head(FLAG_EXTRA, b"\x02"), Ok(false)),
            ("a sum", with_sum.clone(), Ok(true)),
            ("half a sum", with_sum[..with_sum.len() - 1].to_vec(), Ok(false)),
            ("a wrong sum", head(FLAG_HEAD_SUM, b"\0\0"), Err(DecompressError::Head)),
        ];
        for (about, data, want) in rows {
            assert_eq!(has_head(&data), want, "{about}");
        }
    }

    #[tokio::test]
    async fn a_head_in_pieces_is_read_whole() {
        let data = [PLAIN, b"and more"].concat();
        let mut stream = data[..3].chain(&data[3..12]).chain(&data[12..]);
        assert_eq!(read(&mut stream).await.unwrap(), &data[..12], "whole pieces");
        let ends = [
            ("", DecompressError::Empty),
            ("\x1f", DecompressError::Cut),
            ("no gzip at all", DecompressError::Head),
        ];
        for (data, want) in ends {
            let got = read(&mut data.as_bytes()).await;
            assert!(
                matches!(got, Err(ReadError::Wrong(wrong)) if wrong == want),
                "{data:?}"
            );
        }
    }
}
