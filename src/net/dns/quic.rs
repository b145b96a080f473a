//! DNS over QUIC (RFC 9250).

use std::error::Error;

use quinn::{ReadExactError, VarInt};

use super::{CarryError, framed};

/// `DOQ_NO_ERROR`.
const NO_ERROR: VarInt = VarInt::from_u32(0);

/// Sends a query on a stream of its own and reads the response. The identifier of the message must be 0.
///
/// # Errors
/// See [`CarryError`].
pub async fn over_quic(connection: &quinn::Connection, message: &[u8]) -> Result<Vec<u8>, CarryError> {
    // Why a connection was lost stands behind that it was.
    let failed =
        |error: &(dyn Error + 'static)| CarryError::Quic(error.source().unwrap_or(error).to_string());
    let (mut sending, mut receiving) = connection.open_bi().await.map_err(|error| failed(&error))?;
    let framed = framed(message).map_err(CarryError::Send)?;
    sending.write_all(&framed).await.map_err(|error| failed(&error))?;
    // What the peer has stopped to read needs no end.
    let _ = sending.finish();
    let ended = |error| match error {
        ReadExactError::FinishedEarly(_) => CarryError::Closed,
        ReadExactError::ReadError(error) => failed(&error),
    };
    let mut length = [0; 2];
    receiving.read_exact(&mut length).await.map_err(ended)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    receiving.read_exact(&mut message).await.map_err(ended)?;
    connection.close(NO_ERROR, b"");
    Ok(message)
}
