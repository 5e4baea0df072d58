//! The body of an answer: its content out of its framing, piece by piece as it arrives. Keeps
//! nothing but the line or the trailers that it is within.

use httparse::Status;

use super::HttpError;
use super::head::{Framing, Lines, check_trailers};
use crate::config::HTTP_FRAMING_WEIGHT;

/// A body that is being read.
#[derive(Debug)]
pub(super) enum Body {
    /// The bytes that are still to come; 0 is its end.
    Length(u64),
    /// In chunks. `excess`: the bytes of framing that no content has made up for, weighted.
    Chunked {
        chunk: Chunk,
        excess: usize,
    },
    UntilEnd,
}

/// The place within a chunked body (RFC 9112, 7.1).
#[derive(Debug)]
pub(super) enum Chunk {
    /// Within the line of a chunk's size, of which these bytes have come.
    Size(Vec<u8>),
    /// Within its data, of which this many bytes are still to come; never 0.
    Data(u64),
    /// Behind its data, where its end of line comes.
    DataEnd { has_cr: bool },
    /// Behind the last chunk.
    Trailers(Lines),
    /// Behind the trailers.
    Done,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Body {
        match framing {
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked { chunk: Chunk::Size(Vec::new()), excess: 0 },
            Framing::UntilEnd => Body::UntilEnd,
        }
    }

    /// Whether all of it has come. Of a body that lasts until the end of the connection that is
    /// never known before.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunked { chunk: Chunk::Done, .. })
    }

    /// Bytes of content that are announced and still to come.
    pub(super) fn announced(&self) -> u64 {
        match self {
            Body::Length(bytes) | Body::Chunked { chunk: Chunk::Data(bytes), .. } => *bytes,
            Body::Chunked { .. } | Body::UntilEnd => 0,
        }
    }

    /// The number of bytes that are kept.
    pub(super) fn kept(&self) -> usize {
        match self {
            Body::Chunked { chunk: Chunk::Size(line), .. } => line.len(),
            Body::Chunked { chunk: Chunk::Trailers(lines), .. } => lines.len(),
            Body::Chunked { .. } | Body::Length(_) | Body::UntilEnd => 0,
        }
    }

    /// Takes bytes from the front of `bytes`, of which there are some. Returns the content among
    /// them, which may be none.
    ///
    /// # Errors
    /// [`HttpError`] when the framing is broken.
    pub(super) fn take<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        line_bytes_max: usize,
    ) -> Result<&'a [u8], HttpError> {
        debug_assert!(!bytes.is_empty() && !self.is_whole(), "nothing to take");
        match self {
            Body::Length(left) => Ok(take_counted(left, bytes)),
            Body::UntilEnd => Ok(std::mem::take(bytes)),
            Body::Chunked { chunk, excess } => {
                let (before, line) = (bytes.len(), chunk.line());
                let content = chunk.take(bytes, line_bytes_max)?;
                if let (Some(line), Chunk::Data(_)) = (line, &*chunk) {
                    *excess += HTTP_FRAMING_WEIGHT * (line + before - bytes.len());
                }
                *excess = excess.saturating_sub(content.len());
                match *excess > HTTP_FRAMING_WEIGHT * line_bytes_max {
                    true => Err(HttpError::TooLong),
                    false => Ok(content),
                }
            }
        }
    }
}

impl Chunk {
    /// The bytes of the line of its size so far, if it is within that.
    fn line(&self) -> Option<usize> {
        match self {
            Chunk::Size(line) => Some(line.len()),
            Chunk::Data(_) | Chunk::DataEnd { .. } | Chunk::Trailers(_) | Chunk::Done => None,
        }
    }

    fn take<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        line_bytes_max: usize,
    ) -> Result<&'a [u8], HttpError> {
        match self {
            Chunk::Size(line) => {
                if let Some(size) = take_size(line, bytes, line_bytes_max)? {
                    *self = match size {
                        0 => Chunk::Trailers(Lines::new()),
                        size => Chunk::Data(size),
                    };
                }
            }
            Chunk::Data(left) => {
                let content = take_counted(left, bytes);
                if *left == 0 {
                    *self = Chunk::DataEnd { has_cr: false };
                }
                return Ok(content);
            }
            Chunk::DataEnd { has_cr } => {
                *self = match (*has_cr, bytes[0]) {
                    (false, b'\r') => Chunk::DataEnd { has_cr: true },
                    (true, b'\n') => Chunk::Size(Vec::new()),
                    _ => return Err(HttpError::Malformed),
                };
                *bytes = &bytes[1..];
            }
            Chunk::Trailers(lines) => {
                if let Some(trailers) = lines.take(bytes, line_bytes_max)? {
                    check_trailers(trailers)?;
                    *self = Chunk::Done;
                }
            }
            Chunk::Done => debug_assert!(false, "read beyond its end"),
        }
        Ok(&[])
    }
}

fn take_counted<'a>(left: &mut u64, bytes: &mut &'a [u8]) -> &'a [u8] {
    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    let (content, rest) = bytes.split_at(most);
    *left -= content.len() as u64;
    *bytes = rest;
    content
}

/// Takes bytes of the line that states the size of a chunk. Returns the size once it has ended.
fn take_size(
    line: &mut Vec<u8>,
    bytes: &mut &[u8],
    line_bytes_max: usize,
) -> Result<Option<u64>, HttpError> {
    let room = line_bytes_max.saturating_sub(line.len());
    let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
    let (taken, rest) = bytes.split_at(end.map_or(room.min(bytes.len()), |end| end + 1));
    line.extend_from_slice(taken);
    *bytes = rest;
    // The library reads a line without a digit as 0, which would end the body.
    if !line.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(HttpError::Malformed);
    }
    if end.is_none() {
        return if line.len() >= line_bytes_max { Err(HttpError::HeadTooLong) } else { Ok(None) };
    }
    match httparse::parse_chunk_size(line) {
        Ok(Status::Complete((length, size))) if length == line.len() => Ok(Some(size)),
        Ok(_) | Err(_) => Err(HttpError::Malformed),
    }
}
