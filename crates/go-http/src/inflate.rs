//! Bodies compressed with deflate (RFC 1951), also within gzip (RFC 1952), as `compress/flate` and `compress/gzip` read them: all that
//! comes before an error is handed out before it is told.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use crate::gzip_head::{DecompressError, head_length};

/// The decompressed content of a stream. Its errors have a [`DecompressError`] in them unless the stream itself failed.
pub struct Inflate<S> {
    stream: S,
    part: Part,
    raw: Decompress,
    /// None without gzip's frame, which has a sum.
    sum: Option<Crc>,
    /// What is told once everything before it was handed out.
    wrong: Option<DecompressError>,
}

/// What comes next.
enum Part {
    /// A head of gzip, with what was read of it.
    Head(Vec<u8>),
    Data,
    /// Sum and length of what was decompressed, as far as they were read.
    Trailer(Vec<u8>),
    End,
}

/// Length of gzip's trailer in bytes.
const TRAILER: usize = 8;

impl<S: AsyncBufRead + Unpin> Inflate<S> {
    /// Reads deflate alone.
    pub fn deflate(stream: S) -> Self {
        Self {
            stream,
            part: Part::Data,
            raw: Decompress::new(false),
            sum: None,
            wrong: None,
        }
    }

    /// Reads gzip, and any number of members of it. An empty stream is an empty body.
    pub fn gzip(stream: S) -> Self {
        Self {
            part: Part::Head(Vec::new()),
            sum: Some(Crc::new()),
            ..Self::deflate(stream)
        }
    }

    /// One step: what is wrong, or whether the step brought bytes or an end.
    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Result<bool, DecompressError>>> {
        if matches!(self.part, Part::End) {
            return Poll::Ready(Ok(Ok(true)));
        }
        let data = ready!(Pin::new(&mut self.stream).poll_fill_buf(cx))?;
        let (taken, step) = match &mut self.part {
            Part::Head(head) if data.is_empty() => {
                let step = if head.is_empty() {
                    Ok(true)
                } else {
                    Err(DecompressError::Cut)
                };
                self.part = Part::End;
                (0, step)
            }
            Part::Head(head) => {
                let before = head.len();
                head.extend_from_slice(data);
                match head_length(head) {
                    Ok(Some(length)) => {
                        self.part = Part::Data;
                        self.raw.reset(false);
                        self.sum = Some(Crc::new());
                        (length.saturating_sub(before), Ok(false))
                    }
                    Ok(None) => (data.len(), Ok(false)),
                    Err(wrong) => (data.len(), Err(wrong)),
                }
            }
            Part::Data => {
                let (taken, before) = (self.raw.total_in(), self.raw.total_out());
                let inflated = self
                    .raw
                    .decompress(data, into.initialize_unfilled(), FlushDecompress::None);
                let length = |total: u64, before| usize::try_from(total - before).unwrap_or_default();
                let (taken, made) = (
                    length(self.raw.total_in(), taken),
                    length(self.raw.total_out(), before),
                );
                let begin = into.filled().len();
                into.advance(made);
                if let Some(sum) = &mut self.sum {
                    sum.update(into.filled().get(begin..).unwrap_or_default());
                }
                let step = match inflated {
                    Err(_) => Err(DecompressError::Data(self.raw.total_in())),
                    Ok(Status::StreamEnd) => {
                        self.part = if self.sum.is_some() {
                            Part::Trailer(Vec::new())
                        } else {
                            Part::End
                        };
                        Ok(made > 0)
                    }
                    Ok(_) if data.is_empty() && made == 0 => Err(DecompressError::DataCut),
                    Ok(_) => Ok(made > 0),
                };
                (taken, step)
            }
            Part::Trailer(_) if data.is_empty() => (0, Err(DecompressError::Cut)),
            Part::Trailer(trailer) => {
                let piece = data.get(..TRAILER - trailer.len()).unwrap_or(data);
                trailer.extend_from_slice(piece);
                let step = match (trailer.first_chunk::<TRAILER>(), &self.sum) {
                    (Some([a, b, c, d, length @ ..]), Some(sum)) => {
                        let right = u32::from_le_bytes([*a, *b, *c, *d]) == sum.sum()
                            && u32::from_le_bytes(*length) == sum.amount();
                        self.part = Part::Head(Vec::new());
                        right.then_some(false).ok_or(DecompressError::Sum)
                    }
                    _ => Ok(false),
                };
                (piece.len(), step)
            }
            Part::End => (0, Ok(true)),
        };
        Pin::new(&mut self.stream).consume(taken);
        Poll::Ready(Ok(step))
    }
}

impl<S: AsyncBufRead + Unpin> AsyncRead for Inflate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let begin = into.filled().len();
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while this.wrong.is_none() {
            match ready!(this.poll_step(cx, into))? {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(wrong) => this.wrong = Some(wrong),
            }
        }
        match this.wrong {
            Some(wrong) if into.filled().len() == begin => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, wrong)))
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, BufReader};

    use super::*;

    /// "Hello, hello! Hello, hello!" as Go compresses it.
    const DEFLATE: &[u8] =
        b"\xf2\x48\xcd\xc9\xc9\xd7\x51\xc8\x00\x51\x8a\x0a\x28\x3c\x40\x00\x00\x00\xff\xff";
    const HEAD: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
    const SUM: &[u8] = b"\x58\xb7\x84\x76\x1b\0\0\0";

    /// How many bytes there are, and what is wrong then. The stream comes in pieces of `piece` bytes.
    async fn read<R: AsyncRead + Unpin>(mut inflate: R) -> (usize, Option<String>) {
        let mut content = Vec::new();
        let read = inflate.read_to_end(&mut content).await;
        (content.len(), read.err().map(|error| error.to_string()))
    }

    /// What Go 1.26 says of the same bytes, apart from the offset of what is corrupt, which is where its decoder stood.
    #[tokio::test]
    async fn as_much_comes_out_as_in_go() {
        let cut = Some("unexpected EOF");
        #[rustfmt::skip]
        let deflate = [
            ("whole", DEFLATE.to_vec(), 27, None),
            ("more behind it", [DEFLATE, b"junk"].concat(), 27, None),
            ("cut", DEFLATE[..8].to_vec(), 7, cut),
            ("nothing", Vec::new(), 0, cut),
            ("a distance beyond the beginning", br#"{"a":1}{"b":2}"#.to_vec(), 8, Some("flate: corrupt input before offset ")),
            ("a reserved type", vec![7], 0, Some("flate: corrupt input before offset ")),
            ("a stored block, then nothing", b"\x00\x02\0\xfd\xffab".to_vec(), 2, cut),
            ("a wrong length", b"\x01\x03\0\0\0abc".to_vec(), 0, Some("flate: corrupt input before offset ")),
        ];
        let whole = [HEAD, DEFLATE, SUM].concat();
        #[rustfmt::skip]
        let gzip = [
            ("whole", whole.clone(), 27, None),
            ("nothing", Vec::new(), 0, None),
            ("twice", whole.repeat(2), 54, None),
            ("more behind it", [&whole, &b"junk"[..]].concat(), 27, cut),
            ("text behind it", [&whole, &b"junk and more"[..]].concat(), 27, Some("gzip: invalid header")),
            ("half a trailer", whole[..whole.len() - 3].to_vec(), 27, cut),
            ("cut", whole[..20].to_vec(), 12, cut),
            ("another sum", [HEAD, DEFLATE, b"\x58\xb7\x84\x77\x1b\0\0\0"].concat(), 27, Some("gzip: invalid checksum")),
            ("another length", [HEAD, DEFLATE, b"\x58\xb7\x84\x76\x1c\0\0\0"].concat(), 27, Some("gzip: invalid checksum")),
        ];
        for piece in [1, 7, 4096] {
            for (about, data, bytes, wrong) in &deflate {
                let got = read(Inflate::deflate(BufReader::with_capacity(piece, &data[..]))).await;
                judge(got, *bytes, *wrong, &format!("deflate, {about}, by {piece}"));
            }
            for (about, data, bytes, wrong) in &gzip {
                let got = read(Inflate::gzip(BufReader::with_capacity(piece, &data[..]))).await;
                judge(got, *bytes, *wrong, &format!("gzip, {about}, by {piece}"));
            }
        }
    }

    fn judge((bytes, error): (usize, Option<String>), want: usize, wrong: Option<&str>, about: &str) {
        assert_eq!(bytes, want, "{about}");
        match (error, wrong) {
            (None, None) => {}
            (Some(error), Some(wrong)) if error.starts_with(wrong) => {}
            (error, _) => panic!("{about}: {error:?}"),
        }
    }
}
