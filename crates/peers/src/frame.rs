//! Frames: a length and so many bytes, bounded before they are read.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// A sealed answer.
    Answered = 0,
    /// A sentence.
    Refused = 1,
}

/// The next frame; `None` when the other side has nothing more to say.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    longest: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    let (first, rest) = length.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(rest).await?;
    body(stream, length, longest).await.map(Some)
}

async fn body(
    stream: &mut (impl AsyncRead + Unpin),
    length: [u8; 4],
    longest: usize,
) -> io::Result<Vec<u8>> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > longest {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a frame is longer than it may be",
        ));
    }
    // Grows with what arrives: a length alone costs nothing.
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

pub(crate) async fn read_answer(
    stream: &mut (impl AsyncRead + Unpin),
    longest: usize,
) -> io::Result<(Status, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let [status, length @ ..] = head;
    let status = match status {
        0 => Status::Answered,
        1 => Status::Refused,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    Ok((status, body(stream, length, longest).await?))
}

pub(crate) async fn write_answer(
    stream: &mut (impl AsyncWrite + Unpin),
    status: Status,
    bytes: &[u8],
) -> io::Result<()> {
    stream.write_all(&[status as u8]).await?;
    write(stream, bytes).await
}
