//! Servers that do what they should not, frame by frame.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PLAIN, code, problem};
use crate::support::peer::listen;
use crate::support::{log, probe};

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags, 0, 0, 0, stream]].concat();
    [&head, payload].concat()
}

/// A field that is written out in full.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let name = [&[0x10, length(name)], name.as_bytes()].concat();
    [&name, &[length(value)][..], value.as_bytes()].concat()
}

/// A server that sends these bytes at once, and those when it was asked.
async fn raw(first: Vec<u8>, answer: Vec<u8>) -> String {
    in_turns(first, vec![answer]).await
}

/// A server that sends these bytes at once, and each of those when it was asked again.
async fn in_turns(first: Vec<u8>, answers: Vec<Vec<u8>>) -> String {
    let serve = move |mut stream: TcpStream| {
        let (first, answers) = (first.clone(), answers.clone());
        async move {
            stream.write_all(&first).await.unwrap();
            for answer in answers {
                // The request ends with its message.
                let mut asked = Vec::new();
                while !asked.ends_with(b"\0\0\0\0\0") {
                    if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let _ = stream.write_all(&answer).await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    listen(serve).await.to_string()
}

#[tokio::test]
async fn a_refusal_that_comes_with_a_bad_message_is_one() {
    let ok = [field(":status", "200"), field("content-type", "application/grpc")].concat();
    let headers = |stream| frame(1, 4, stream, &ok);
    let trailers = frame(1, 5, 3, &field("grpc-status", "0"));
    let good = [headers(3), frame(0, 0, 3, b"\0\0\0\0\x02\x08\x01"), trailers].concat();
    let too_large = b"\0\x7f\xff\xff\xff";
    let refused = |stream, message: &[u8]| {
        let refusal = frame(3, 0, stream, &[0, 0, 0, 7]);
        [headers(stream), frame(0, 0, stream, message), refusal].concat()
    };
    for (about, first, second, status) in [
        ("too large", refused(1, too_large), good.clone(), 0.0),
        ("compressed", refused(1, b"\x01\0\0\0\0"), good.clone(), 0.0),
        ("twice", refused(1, too_large), refused(3, too_large), 8.0),
    ] {
        let target = in_turns(frame(4, 0, 0, &[]), vec![first, second]).await;
        let outcome = probe(PLAIN, &target).await;
        assert_eq!(
            (outcome.success, code(&outcome)),
            (status == 0.0, status),
            "{about}: {:?}",
            log(&outcome)
        );
    }
}

/// What odd servers get from grpc-go's client, which was asked about each of these.
#[tokio::test]
async fn odd_servers_are_judged_as_grpc_go_does() {
    const MESSAGE: &[u8] = b"\0\0\0\0\x02\x08\x01";
    let ok = || [field(":status", "200"), field("content-type", "application/grpc")].concat();
    let headers = |block: &[u8]| frame(1, 4, 1, block);
    let end = |block: &[u8]| frame(1, 5, 1, block);
    let data = || frame(0, 0, 1, MESSAGE);
    let trailers = || end(&field("grpc-status", "0"));
    let good = || [headers(&ok()), data(), trailers()].concat();
    let with = |more: &[u8]| [headers(&[&ok(), more].concat()), data(), trailers()].concat();
    let before = |frame: Vec<u8>| [frame, good()].concat();
    let foreign = |status: &str| end(&field(":status", status));
    let settings = |key: u8, value: u32| frame(4, 0, 0, &[&[0, key], &value.to_be_bytes()[..]].concat());
    let plain = || frame(4, 0, 0, &[]);
    let goaway = |last: u8, code: u8| frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, code]);
    const FINE: Option<(f64, &str)> = None;
    let internal = |text| Some((13.0, text));
    let gone = Some((14.0, "error reading from server"));
    // about, what comes first, the answer, code and reason of the failure
    #[rustfmt::skip]
    let rows = [
        ("nothing odd", plain(), good(), FINE),
        // Fields.
        ("connection", plain(), with(&field("connection", "close")), FINE),
        ("transfer-encoding", plain(), with(&field("transfer-encoding", "chunked")), FINE),
        ("capitals", plain(), with(&field("X-A", "b")), internal("invalid header field name")),
        ("no name", plain(), with(&field("", "b")), internal("invalid header field name")),
        ("a line break", plain(), with(&field("a", "b\nc")), internal("invalid header field value")),
        ("a late pseudo-header", plain(), with(&field(":status", "200")), internal("invalid pseudo-header")),
        (
            "an unknown pseudo-header",
            plain(),
            [headers(&[field(":a", "b"), ok()].concat()), data(), trailers()].concat(),
            internal("invalid pseudo-header"),
        ),
        ("octets in base64", plain(), with(&field("a-bin", "AAAA")), FINE),
        ("octets, bits behind them", plain(), with(&field("a-bin", "AAB")), FINE),
        ("octets, padded, bits behind them", plain(), with(&field("a-bin", "AAB=")), FINE),
        ("octets, too much padding", plain(), with(&field("a-bin", "A===")), internal("malformed a-bin")),
        ("octets, padded within", plain(), with(&field("a-bin", "AA=")), internal("malformed a-bin")),
        // Statuses of HTTP.
        ("no status", plain(), [headers(&field("content-type", "application/grpc")), data(), trailers()].concat(), FINE),
        (
            "an odd status",
            plain(),
            [
                headers(&[field(":status", "abc"), field("content-type", "application/grpc")].concat()),
                data(),
                trailers(),
            ]
            .concat(),
            FINE,
        ),
        ("abc, foreign", plain(), foreign("abc"), internal("malformed http-status: parsing \\\"abc\\\"")),
        ("99, foreign", plain(), foreign("99"), Some((2.0, "status code received from server: 99 ()"))),
        ("1000, foreign", plain(), foreign("1000"), Some((2.0, "from server: 1000 ()"))),
        (
            "nothing at all",
            plain(),
            end(&[]),
            internal("malformed header: missing HTTP status; malformed header: missing HTTP content-type"),
        ),
        ("100, then an answer", plain(), before(headers(&field(":status", "100"))), FINE),
        ("100 at the end", plain(), foreign("100"), internal("must not have END_STREAM set")),
        (
            "a page",
            plain(),
            [headers(&field(":status", "404")), frame(0, 1, 1, b"nope")].concat(),
            Some((
                12.0,
                "404 (Not Found); malformed header: missing HTTP content-type\\ndata: \\\"nope\\\"",
            )),
        ),
        (
            "a page and an empty frame",
            plain(),
            [
                headers(&field(":status", "404")),
                frame(0, 0, 1, b"nope"),
                frame(0, 1, 1, b""),
            ]
            .concat(),
            internal("server closed the stream without sending trailers"),
        ),
        // Frames.
        ("data first", plain(), [data(), headers(&ok()), trailers()].concat(), FINE),
        (
            "data first, without end",
            plain(),
            [headers(&field(":status", "100")), frame(0, 0, 1, &[0; 16 << 10]).repeat(512)].concat(),
            internal("received 4210688-bytes data exceeding the limit 4194309 bytes"),
        ),
        ("data of another stream", plain(), before(frame(0, 0, 3, b"x")), FINE),
        ("fields of another stream", plain(), before(frame(1, 4, 2, &ok())), FINE),
        ("fields of no stream", plain(), before(frame(1, 4, 0, &ok())), gone),
        ("a push", plain(), before(frame(5, 4, 1, b"\0\0\0\x02\x88")), FINE),
        ("a push on no stream", plain(), before(frame(5, 4, 0, b"\0\0\0\x02\x88")), gone),
        ("an unknown frame", plain(), before(frame(0x42, 0xff, 1, b"xyz")), FINE),
        ("a short ping", plain(), before(frame(6, 0, 0, b"1234")), gone),
        ("a ping on a stream", plain(), before(frame(6, 0, 1, b"12345678")), gone),
        ("a reset of no stream", plain(), before(frame(3, 0, 0, b"\0\0\0\0")), gone),
        ("a reset of another stream", plain(), before(frame(3, 0, 3, b"\0\0\0\0")), FINE),
        ("a long reset", plain(), before(frame(3, 0, 1, b"\0\0\0\0\0")), gone),
        ("a window by nothing", plain(), before(frame(8, 0, 0, b"\0\0\0\0")), gone),
        ("a stream's window by nothing", plain(), before(frame(8, 0, 1, b"\0\0\0\0")), internal("received an invalid frame")),
        ("windows without end", plain(), before(frame(8, 0, 0, b"\x7f\xff\xff\xff").repeat(2)), FINE),
        (
            "continued",
            plain(),
            [
                frame(1, 0, 1, &[]),
                frame(9, 0, 1, &[]),
                frame(9, 4, 1, &ok()),
                data(),
                trailers(),
            ]
            .concat(),
            FINE,
        ),
        ("continued elsewhere", plain(), [frame(1, 0, 1, &[]), frame(9, 4, 3, &ok()), data(), trailers()].concat(), gone),
        ("a continuation of nothing", plain(), before(frame(9, 4, 1, &ok())), gone),
        ("padding beyond the end", plain(), before(frame(1, 0xc, 1, b"\xff\x88")), internal("received an invalid frame")),
        (
            "fields in the middle",
            plain(),
            [headers(&ok()), headers(&field("a", "b"))].concat(),
            internal("cannot appear in the middle"),
        ),
        ("no trailers", plain(), [headers(&ok()), frame(0, 1, 1, MESSAGE)].concat(), internal("without sending trailers")),
        // Settings and farewells.
        ("an acknowledgement first", frame(4, 1, 0, &[]), good(), FINE),
        ("an acknowledgement that says something", plain(), before(frame(4, 1, 0, &[0; 6])), gone),
        ("settings on a stream", frame(4, 0, 1, &[]), good(), Some((14.0, ""))),
        ("settings of five bytes", frame(4, 0, 0, &[0; 5]), good(), Some((14.0, ""))),
        ("an impossible window", settings(4, 1 << 31), good(), Some((14.0, ""))),
        ("frames of a byte", settings(5, 1), good(), FINE),
        ("pushes", settings(2, 7), good(), FINE),
        ("an unknown setting", settings(99, 7), good(), FINE),
        (
            "few fields",
            settings(6, 10),
            good(),
            internal("header list size to send violates the maximum size (10 bytes) set by server"),
        ),
        ("enough fields", settings(6, 8192), good(), FINE),
        ("a farewell after this", plain(), before(goaway(1, 0)), FINE),
        ("a farewell to it", plain(), goaway(0, 2), Some((14.0, "server is draining the connection"))),
        ("a farewell at once", [plain(), goaway(0, 0)].concat(), good(), Some((14.0, "server is draining the connection"))),
    ];
    for (about, first, answer, want) in rows {
        let target = raw(first, answer).await;
        let outcome = probe(PLAIN, &target).await;
        let (status, text) = want.unwrap_or((0.0, ""));
        assert_eq!(
            (outcome.success, code(&outcome)),
            (want.is_none(), status),
            "{about}: {:?}",
            log(&outcome)
        );
        if want.is_some() {
            assert!(problem(&outcome).contains(text), "{about}: {}", problem(&outcome));
        }
    }
    // None at a time: the call waits, here for the deadline.
    let target = raw(settings(3, 0), good()).await;
    let outcome = probe(&PLAIN.replace("5s", "300ms"), &target).await;
    assert_eq!(code(&outcome), 4.0);
    // Whatever metadata is called, it is sent.
    let metadata = PLAIN.replace(
        '}',
        ", metadata: {connection: [close], transfer-encoding: [chunked], host: [a]}}",
    );
    let outcome = probe(&metadata, &raw(plain(), good()).await).await;
    assert!(outcome.success, "{:?}", log(&outcome));
}
