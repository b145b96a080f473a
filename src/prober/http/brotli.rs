//! Brotli as upstream's decoder reads it: of the format of RFC 7932, whose windows have at most 16 MiB, and with nothing behind it. The
//! window, which a few bytes can ask for, is counted under `--memory.limit`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use brotli_decompressor::{
    Allocator, BrotliDecoderErrorCode, BrotliDecompressStream, BrotliResult, BrotliState, SliceWrapper,
    StandardAlloc,
};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use crate::memory::{self, Share, Use};

/// What is decompressed of a stream.
pub(super) struct Brotli<S> {
    stream: S,
    state: Box<BrotliState<Windows, StandardAlloc, StandardAlloc>>,
    begun: bool,
    ended: bool,
}

/// Memory of a decoder for bytes, which is its window, as far as there is any.
struct Windows(Share);

impl Windows {
    /// From how many bytes on it is counted.
    const LARGE: usize = 64 << 10;
}

impl Allocator<u8> for Windows {
    type AllocatedMemory = <StandardAlloc as Allocator<u8>>::AllocatedMemory;

    /// None of it, when there is not so much: then the decoder fails.
    fn alloc_cell(&mut self, bytes: usize) -> Self::AllocatedMemory {
        if bytes >= Self::LARGE && !self.0.grow(bytes) {
            return Self::AllocatedMemory::default();
        }
        StandardAlloc::default().alloc_cell(bytes)
    }

    fn free_cell(&mut self, cell: Self::AllocatedMemory) {
        let bytes = cell.slice().len();
        drop(cell);
        if bytes >= Self::LARGE {
            self.0.shrink(bytes);
        }
    }
}

impl<S> Brotli<S> {
    pub(super) fn new(stream: S) -> Self {
        let windows = Windows(memory::take_some(Use::Bodies, 0));
        let (trees, tables) = (StandardAlloc::default(), StandardAlloc::default());
        Self {
            stream,
            state: Box::new(BrotliState::new(windows, trees, tables)),
            begun: false,
            ended: false,
        }
    }
}

impl<S: AsyncBufRead + Unpin> AsyncRead for Brotli<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let invalid = |text| Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        let own = self.get_mut();
        loop {
            let mut stream = Pin::new(&mut own.stream);
            if own.ended {
                // The end of what it came in counts, too: a body that is cut there has failed.
                return match ready!(stream.poll_fill_buf(cx))? {
                    [] => Poll::Ready(Ok(())),
                    _ => invalid("brotli: excessive input"),
                };
            }
            let input = ready!(stream.as_mut().poll_fill_buf(cx))?;
            let is_all = input.is_empty();
            // These seven bits begin a stream with a "large window" of up to a gibibyte, an extension that the decoder knows.
            if !own.begun && input.first().is_some_and(|bits| bits & 0x7f == 0x11) {
                return invalid("brotli: WINDOW_BITS: the window is larger than RFC 7932 allows");
            }
            own.begun = true;
            let output = into.initialize_unfilled();
            let (mut left, mut read) = (input.len(), 0);
            let (mut room, mut written) = (output.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                input,
                &mut room,
                &mut written,
                output,
                &mut 0,
                &mut own.state,
            );
            stream.consume(read);
            match result {
                BrotliResult::ResultFailure => return Poll::Ready(Err(own.error())),
                BrotliResult::ResultSuccess => own.ended = true,
                BrotliResult::NeedsMoreInput if is_all && written == 0 => {
                    return invalid("unexpected EOF");
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            into.advance(written);
            if written > 0 || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S> Brotli<S> {
    /// Why the decoder failed.
    fn error(&self) -> io::Error {
        use BrotliDecoderErrorCode::{
            BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_1 as BEGINNING,
            BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_2 as GROWING,
        };
        if matches!(self.state.error_code, BEGINNING | GROWING) {
            return io::ErrorKind::OutOfMemory.into();
        }
        io::Error::other("brotli error")
    }
}
