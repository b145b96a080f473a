//! Odd servers, judged by this client as Go's `net/http` judges them.

mod servers;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Connection, Manner, Request, exchange};
use crate::first_byte::FirstByte;
use crate::headers::Headers;
use crate::http1::RequestBody;
use servers::{DATA, HEADERS, frame, ok, servers, settings};

fn get(headers: &Headers) -> Request<'_> {
    Request {
        method: "GET",
        scheme: "https",
        authority: "x",
        path: b"/",
        headers,
    }
}

/// The status and how many bytes of a body came, if the answer was whole.
async fn judge(wire: Vec<u8>) -> Option<(u16, u64)> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 17);
    let server = tokio::spawn(async move {
        theirs.write_all(&wire).await.unwrap();
        // The connection stays open: what is missing is waited for.
        let _ = theirs.read_to_end(&mut Vec::new()).await;
    });
    let headers = Headers::default();
    let request = get(&headers);
    let whole = async {
        let answer = exchange(
            ours,
            request,
            RequestBody::Empty,
            false,
            &mut FirstByte::default(),
        )
        .await;
        let mut answer = answer.ok()?;
        let body = match answer.has_body {
            true => tokio::io::copy(&mut answer.body, &mut tokio::io::sink())
                .await
                .ok()?,
            false => 0,
        };
        Some((answer.head.status, body))
    };
    let judged = tokio::time::timeout(std::time::Duration::from_secs(5), whole).await;
    server.abort();
    judged.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn odd_servers_are_judged_as_go_does() {
    let mut wrong = Vec::new();
    for (name, wire, want) in servers() {
        let got = judge(wire.concat()).await;
        if got != want {
            wrong.push(format!("{name}: {got:?}, not {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn data_between_an_interim_response_and_the_final_one_break_the_protocol() {
    let interim = frame(HEADERS, 4, 1, b"\x08\x03103");
    let data = frame(DATA, 0, 1, b"x");
    let wire = |data: &[u8]| [&settings(&[]), &interim, data, &ok()].concat();
    assert_eq!(judge(wire(b"")).await, Some((200, 2)));
    assert_eq!(judge(wire(&data)).await, None);
}

/// Header blocks of other streams, each of which becomes megabytes: the task yields, whatever is in the buffer.
#[tokio::test]
async fn work_for_nobody_is_done_in_turns() {
    let value = vec![b'x'; 4000];
    let entry = [&b"\x40\x01a\x7f\xa1\x1e"[..], &value].concat();
    let first = frame(HEADERS, 4, 3, &entry);
    let others = frame(HEADERS, 4, 3, &[0xbe; 2000]).repeat(40);
    let mut wire = &[settings(&[]), first, others, ok()].concat()[..];
    let headers = Headers::default();
    let request = get(&headers);
    let (reader, mut writer) = tokio::io::duplex(1 << 20);
    tokio::io::copy(&mut wire, &mut writer).await.unwrap();
    let mut turns = 0;
    let mut began = FirstByte::default();
    let mut exchange = Box::pin(exchange(reader, request, RequestBody::Empty, false, &mut began));
    let answer = std::future::poll_fn(|cx| {
        turns += 1;
        exchange.as_mut().poll(cx)
    });
    assert_eq!(answer.await.unwrap().head.status, 200);
    assert!(turns > 40 * 8 / 2, "{turns} turns for 320 MB");
}

/// The same before the request, while the peer allows no stream.
#[tokio::test]
async fn work_before_the_request_is_done_in_turns() {
    let entry = [&b"\x40\x01a\x7f\xa1\x1e"[..], &[b'x'; 4000]].concat();
    let first = frame(HEADERS, 4, 3, &entry);
    let others = frame(HEADERS, 4, 3, &[0xbe; 240]).repeat(320);
    let mut wire = &[settings(&[(3, 0)]), first, others, settings(&[(3, 1)])].concat()[..];
    let (reader, mut writer) = tokio::io::duplex(1 << 20);
    tokio::io::copy(&mut wire, &mut writer).await.unwrap();
    let mut turns = 0;
    let mut connection = Connection::new(reader, Manner::Grpc);
    let mut begin = Box::pin(connection.begin_when_allowed(&[], RequestBody::Empty));
    let begun = std::future::poll_fn(|cx| {
        turns += 1;
        begin.as_mut().poll(cx)
    });
    begun.await.unwrap();
    assert!(turns > 320, "{turns} turns for 310 MB");
}

#[tokio::test]
async fn of_data_that_is_cut_nothing_counts() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 17);
    let whole = frame(DATA, 0, 1, b"whole");
    let cut = &frame(DATA, 0, 1, &b"x".repeat(5000))[..100];
    let wire = [&settings(&[]), &frame(HEADERS, 4, 1, b"\x88"), &whole, cut].concat();
    theirs.write_all(&wire).await.unwrap();
    theirs.shutdown().await.unwrap();
    let headers = Headers::default();
    let request = get(&headers);
    let mut began = FirstByte::default();
    let answer = exchange(ours, request, RequestBody::Empty, false, &mut began).await;
    let mut body = Vec::new();
    let read = answer.unwrap().body.read_to_end(&mut body).await;
    assert!(read.is_err());
    assert_eq!(body, b"whole");
}
