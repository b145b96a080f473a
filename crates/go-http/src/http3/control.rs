//! The streams of one direction (RFC 9114, section 6.2): our own, which carries our settings, and the peer's.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};

use quinn::{Connection, RecvStream};
use tokio::task::JoinSet;

use super::error::{
    CLOSED_CRITICAL_STREAM, FRAME_ERROR, FRAME_UNEXPECTED, Http3Error, ID_ERROR, MISSING_SETTINGS,
    SETTINGS_ERROR, STREAM_CREATION_ERROR,
};
use super::frame::{Frame, Frames, GOAWAY, SETTINGS, put_frame, put_number, take_number};

/// Kinds of streams.
const CONTROL: u64 = 0;
const PUSH: u64 = 1;
const QPACK_ENCODER: u64 = 2;
const QPACK_DECODER: u64 = 3;

/// The setting that says how large a head may be.
const MAX_FIELD_SECTION_SIZE: u64 = 6;

/// Switches (RFC 9220, section 3; RFC 9297, section 2.1.1).
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
const H3_DATAGRAM: u64 = 0x33;

/// How the peer broke the protocol, if it did.
pub(super) type Fault = Arc<OnceLock<(u32, &'static str)>>;

/// Sends our settings and reads what the peer says of the connection, until it breaks the protocol, which ends the
/// connection, or the connection ends.
pub(super) async fn attend(connection: Connection, fault: Fault) {
    let mut tasks = JoinSet::new();
    tasks.spawn(settle(connection.clone()));
    let mut has = [false; 4];
    let (kinds, mut told) = tokio::sync::mpsc::channel(1);
    loop {
        tokio::select! {
            stream = connection.accept_uni() => {
                let Ok(stream) = stream else { return };
                let kinds = kinds.clone();
                tasks.spawn(async move {
                    let mut frames = Frames::new(stream, 0);
                    if let Ok(Some(kind)) = poll_fn(|cx| frames.poll_kind(cx)).await {
                        let _ = kinds.send((kind, frames)).await;
                    }
                    None
                });
            }
            Some((kind, frames)) = told.recv() => {
                let place = usize::try_from(kind).ok().and_then(|kind| has.get_mut(kind));
                let is_second = place.is_some_and(|has| std::mem::replace(has, true));
                match kind {
                    PUSH => return refuse(&connection, &fault, ID_ERROR, "a push that was not allowed"),
                    CONTROL | QPACK_ENCODER | QPACK_DECODER if is_second => {
                        let why = "a second control or QPACK stream";
                        return refuse(&connection, &fault, STREAM_CREATION_ERROR, why);
                    }
                    CONTROL => drop(tasks.spawn(control(frames))),
                    // Not read: without a dynamic table nothing is said there that matters. They must not be closed.
                    QPACK_ENCODER | QPACK_DECODER => drop(tasks.spawn(keep(frames))),
                    _ => {
                        let mut stream = frames.io;
                        let _ = stream.stop(STREAM_CREATION_ERROR.into());
                    }
                }
            }
            Some(ended) = tasks.join_next() => {
                if let Ok(Some(Http3Error::Connection(code, why))) = ended {
                    return refuse(&connection, &fault, code, why);
                }
            }
        }
    }
}

fn refuse(connection: &Connection, fault: &Fault, code: u32, why: &'static str) {
    let _ = fault.set((code, why));
    connection.close(code.into(), why.as_bytes());
}

/// Opens our control stream and keeps it open.
async fn settle(connection: Connection) -> Option<Http3Error> {
    let mut settings = Vec::new();
    put_number(&mut settings, MAX_FIELD_SECTION_SIZE);
    put_number(&mut settings, super::MAX_HEADERS as u64);
    let mut bytes = Vec::new();
    put_number(&mut bytes, CONTROL);
    put_frame(&mut bytes, SETTINGS, &settings);
    let mut stream = connection.open_uni().await.ok()?;
    stream.write_all(&bytes).await.ok()?;
    let _ = stream.stopped().await;
    None
}

async fn keep(frames: Frames<RecvStream>) -> Option<Http3Error> {
    let _open = frames;
    std::future::pending().await
}

/// Reads the peer's control stream; what is wrong with it.
async fn control(mut frames: Frames<RecvStream>) -> Option<Http3Error> {
    let closed = Http3Error::Connection(CLOSED_CRITICAL_STREAM, "the control stream was closed");
    let why = "a frame that cannot be on a control stream";
    let misplaced = Http3Error::Connection(FRAME_UNEXPECTED, why);
    let mut has_settings = false;
    let mut last = u64::MAX;
    loop {
        let frame = match poll_fn(|cx| frames.poll_frame(cx)).await {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(Http3Error::Truncated | Http3Error::Read(_)) => return Some(closed),
            Err(Http3Error::HeadersTooLarge) => return Some(misplaced),
            Err(error) => return Some(error),
        };
        match frame {
            Frame::Whole(SETTINGS, payload) if !has_settings => {
                has_settings = true;
                if let Err(error) = check_settings(&payload) {
                    return Some(error);
                }
            }
            _ if !has_settings => {
                let why = "the first frame is not SETTINGS";
                return Some(Http3Error::Connection(MISSING_SETTINGS, why));
            }
            // The request is on its way already: it is answered, or it is not.
            Frame::Whole(GOAWAY, payload) => {
                let mut rest = &*payload;
                let id = take_number(&mut rest).filter(|id| id.is_multiple_of(4) && *id <= last);
                if !rest.is_empty() {
                    let why = "a GOAWAY of more than a number";
                    return Some(Http3Error::Connection(FRAME_ERROR, why));
                }
                let Some(id) = id else {
                    return Some(Http3Error::Connection(ID_ERROR, "a GOAWAY of no request"));
                };
                last = id;
            }
            _ => return Some(misplaced),
        }
    }
}

/// None of the settings concerns the one request, but each may be there only once, and switches are on or off.
fn check_settings(payload: &[u8]) -> Result<(), Http3Error> {
    let wrong = |why| Err(Http3Error::Connection(SETTINGS_ERROR, why));
    let (mut rest, mut seen) = (payload, std::collections::HashSet::new());
    while !rest.is_empty() {
        let (Some(id), Some(value)) = (take_number(&mut rest), take_number(&mut rest)) else {
            return wrong("a setting is cut off");
        };
        if matches!(id, ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM) && value > 1 {
            return wrong("a switch is neither on nor off");
        }
        if !seen.insert(id) {
            return wrong("a setting is there twice");
        }
    }
    Ok(())
}
