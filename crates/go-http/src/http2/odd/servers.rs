//! What servers may and may not do (RFC 9113, in the order of h2spec's cases). Each verdict is what Go's client said of the
//! same bytes. `bench/packages` reads this file, too: it uses nothing of the crate.

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const PRIORITY_UPDATE: u8 = 16;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let bytes = settings
        .iter()
        .flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &bytes.collect::<Vec<_>>())
}

fn ack() -> Vec<u8> {
    frame(SETTINGS, 1, 0, b"")
}

/// A head with status 200, as the static table has it.
fn head() -> Vec<u8> {
    frame(HEADERS, 4, 1, b"\x88")
}

/// The body and the end of the stream.
fn end() -> Vec<u8> {
    frame(DATA, 1, 1, b"ok")
}

pub fn ok() -> Vec<u8> {
    [head(), end()].concat()
}

/// A field that is written out.
fn lit(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name, &[length(value)], value].concat()
}

fn fields(flags: u8, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let block: Vec<_> = fields.iter().flat_map(|(name, value)| lit(name, value)).collect();
    frame(HEADERS, flags, 1, &block)
}

/// What a server does, its frames, and the status and the length of the body unless it is an error.
pub type Server = (&'static str, Vec<Vec<u8>>, Option<(u16, u64)>);

/// The servers; their connections stay open after these frames.
#[rustfmt::skip]
pub fn servers() -> Vec<Server> {
    vec![
        // RFC 9113, 3.4
        ("preface: no settings first", vec![ok()], None),
        ("preface: ack first", vec![ack(), ok()], Some((200, 2))),
        ("preface: ping first", vec![frame(PING, 0, 0, &b"x".repeat(8)), ok()], None),
        // 4.1 and 4.2
        ("frame: unknown type", vec![settings(&[]), frame(0x16, 0, 0, &b"x".repeat(20)), ok()], Some((200, 2))),
        ("frame: unknown type on stream", vec![settings(&[]), frame(0x16, 0xff, 1, b"x"), ok()], Some((200, 2))),
        ("frame: unknown flags on ping", vec![settings(&[]), frame(PING, 0x16, 0, &b"x".repeat(8)), ok()], Some((200, 2))),
        ("frame: reserved bit", vec![settings(&[]), frame(PING, 0, 1 << 31, &b"x".repeat(8)), ok()], Some((200, 2))),
        ("frame: 16384 data", vec![settings(&[]), head(), frame(DATA, 1, 1, &b"x".repeat(16384))], Some((200, 16384))),
        ("frame: 16385 data", vec![settings(&[]), head(), frame(DATA, 1, 1, &b"x".repeat(16385))], None),
        ("frame: 16385 headers", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"a", b"b").repeat(3277)].concat()), end()], None),
        ("frame: 16385 unknown", vec![settings(&[]), frame(0x20, 0, 1, &b"x".repeat(16385)), ok()], None),
        // 4.3
        ("hpack: bad index", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\xbe"), end()], None),
        ("hpack: index 0", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\x80"), end()], None),
        ("hpack: table size update too large", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x3f\xe2\x1f\x88"), end()], None),
        ("hpack: table size update at end", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\x20"), end()], Some((200, 2))),
        ("hpack: two size updates", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x20\x3f\xe1\x1f\x88"), end()], Some((200, 2))),
        ("hpack: three size updates", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x20\x20\x20\x88"), end()], Some((200, 2))),
        ("hpack: bad huffman padding", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\0\x81\x00\x01b"), end()], None),
        ("hpack: huffman eos", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\0\x84\xff\xff\xff\xff\x01b"), end()], None),
        ("hpack: cut off", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\0\x05ab"), end()], None),
        ("hpack: overlong integer", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\x7f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), end()], None),
        // 5.1
        ("state: headers on idle 3", vec![settings(&[]), frame(HEADERS, 5, 3, b"\x88"), ok()], Some((200, 2))),
        ("state: headers on even 2", vec![settings(&[]), frame(HEADERS, 5, 2, b"\x88"), ok()], Some((200, 2))),
        ("state: data on idle 3", vec![settings(&[]), frame(DATA, 1, 3, b"x"), ok()], None),
        ("state: data on even 2", vec![settings(&[]), frame(DATA, 1, 2, b"x"), ok()], Some((200, 2))),
        ("state: rst on idle 3", vec![settings(&[]), frame(RST_STREAM, 0, 3, b"\0\0\0\x01"), ok()], Some((200, 2))),
        ("state: window update on idle 3", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 3, b"\0\0\0\x01"), ok()], Some((200, 2))),
        ("state: data before headers", vec![settings(&[]), end()], None),
        ("state: headers after end", vec![settings(&[]), ok(), frame(HEADERS, 5, 1, b"\x88")], Some((200, 2))),
        ("state: data after end", vec![settings(&[]), ok(), frame(DATA, 1, 1, b"x")], Some((200, 2))),
        ("state: headers, headers without end", vec![settings(&[]), head(), frame(HEADERS, 4, 1, b"\x88"), end()], None),
        // 6.1
        ("data: stream 0", vec![settings(&[]), head(), frame(DATA, 0, 0, b"x"), end()], None),
        ("data: padded", vec![settings(&[]), head(), frame(DATA, 9, 1, b"\x02ok\0\0")], Some((200, 2))),
        ("data: padding nonzero", vec![settings(&[]), head(), frame(DATA, 9, 1, b"\x02okxx")], Some((200, 2))),
        ("data: padding too long", vec![settings(&[]), head(), frame(DATA, 9, 1, b"\x06ok\0\0")], None),
        ("data: padding all", vec![settings(&[]), head(), frame(DATA, 9, 1, b"\x04\0\0\0\0")], Some((200, 0))),
        ("data: padded, empty frame", vec![settings(&[]), head(), frame(DATA, 9, 1, b"")], None),
        ("data: empty", vec![settings(&[]), head(), frame(DATA, 0, 1, b"").repeat(5), end()], Some((200, 2))),
        // 6.2
        ("headers: stream 0", vec![settings(&[]), frame(HEADERS, 4, 0, b"\x88"), ok()], None),
        ("headers: padded", vec![settings(&[]), frame(HEADERS, 12, 1, b"\x02\x88\0\0"), end()], Some((200, 2))),
        ("headers: padding too long", vec![settings(&[]), frame(HEADERS, 12, 1, b"\x09\x88\0\0"), end()], None),
        ("headers: priority", vec![settings(&[]), frame(HEADERS, 0x24, 1, b"\0\0\0\0\x01\x88"), end()], Some((200, 2))),
        ("headers: priority cut off", vec![settings(&[]), frame(HEADERS, 0x24, 1, b"\0\0\x88"), end()], None),
        ("headers: self dependency", vec![settings(&[]), frame(HEADERS, 0x24, 1, b"\0\0\0\x01\x01\x88"), end()], Some((200, 2))),
        ("headers: end without data", vec![settings(&[]), frame(HEADERS, 5, 1, b"\x88")], Some((200, 0))),
        // 6.3
        ("priority: ok", vec![settings(&[]), frame(PRIORITY, 0, 1, b"\0\0\0\0\x01"), ok()], Some((200, 2))),
        ("priority: stream 0", vec![settings(&[]), frame(PRIORITY, 0, 0, b"\0\0\0\0\x01"), ok()], None),
        ("priority: length 4", vec![settings(&[]), frame(PRIORITY, 0, 1, b"\0\0\0\0"), ok()], None),
        ("priority: self", vec![settings(&[]), frame(PRIORITY, 0, 1, b"\0\0\0\x01\x01"), ok()], Some((200, 2))),
        // RFC 9218, 7.1
        ("priority update: ok", vec![settings(&[]), frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), ok()], Some((200, 2))),
        ("priority update: on a stream", vec![settings(&[]), frame(PRIORITY_UPDATE, 0, 7, b"\0\0\0\x01u=1"), ok()], None),
        ("priority update: length 3", vec![settings(&[]), frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0"), ok()], None),
        ("priority update: for stream 0", vec![settings(&[]), frame(PRIORITY_UPDATE, 0, 0, b"\x80\0\0\0u=1"), ok()], None),
        // 6.4
        ("rst: stream 0", vec![settings(&[]), frame(RST_STREAM, 0, 0, b"\0\0\0\x01"), ok()], None),
        ("rst: length 3", vec![settings(&[]), frame(RST_STREAM, 0, 1, b"\0\0\0"), ok()], None),
        ("rst: no error before headers", vec![settings(&[]), frame(RST_STREAM, 0, 1, b"\0\0\0\0")], None),
        ("rst: no error after headers", vec![settings(&[]), head(), frame(RST_STREAM, 0, 1, b"\0\0\0\0")], None),
        ("rst: no error after whole", vec![settings(&[]), ok(), frame(RST_STREAM, 0, 1, b"\0\0\0\0")], Some((200, 2))),
        ("rst: cancel after headers", vec![settings(&[]), head(), frame(DATA, 0, 1, b"o"), frame(RST_STREAM, 0, 1, b"\0\0\0\x08")], None),
        // 6.5
        ("settings: ack with payload", vec![settings(&[]), frame(SETTINGS, 1, 0, b"\0\x04\0\0\0\x01"), ok()], None),
        ("settings: on stream", vec![settings(&[]), frame(SETTINGS, 0, 1, b""), ok()], None),
        ("settings: length 5", vec![settings(&[]), frame(SETTINGS, 0, 0, b"\0\x04\0\0\0"), ok()], None),
        ("settings: push 2", vec![settings(&[]), settings(&[(2,2)]), ok()], None),
        ("settings: push 1", vec![settings(&[]), settings(&[(2,1)]), ok()], Some((200, 2))),
        ("settings: window 2^31", vec![settings(&[]), settings(&[(4,1 << 31)]), ok()], None),
        ("settings: window max", vec![settings(&[]), settings(&[(4,(1 << 31) - 1)]), ok()], Some((200, 2))),
        ("settings: frame 16383", vec![settings(&[]), settings(&[(5,16383)]), ok()], None),
        ("settings: frame 2^24", vec![settings(&[]), settings(&[(5,1 << 24)]), ok()], None),
        ("settings: unknown", vec![settings(&[]), settings(&[(0xff,1), (0x10,7)]), ok()], Some((200, 2))),
        ("settings: twice the same", vec![settings(&[]), settings(&[(4,10), (4,20)]), ok()], Some((200, 2))),
        ("settings: ack once", vec![settings(&[]), ack(), ok()], Some((200, 2))),
        ("settings: ack twice", vec![settings(&[]), ack(), ack(), ok()], None),
        ("settings: ack thrice", vec![settings(&[]), ack(), ack(), ack(), ok()], None),
        ("settings: max streams 0", vec![settings(&[]), settings(&[(3,0)]), ok()], Some((200, 2))),
        ("settings: table 0", vec![settings(&[]), settings(&[(1,0)]), ok()], Some((200, 2))),
        ("settings: connect protocol 1", vec![settings(&[]), settings(&[(8,1)]), ok()], Some((200, 2))),
        ("settings: connect protocol 2", vec![settings(&[]), settings(&[(8,2)]), ok()], None),
        ("settings: connect protocol 1 then 0", vec![settings(&[]), settings(&[(8,1)]), settings(&[(8,0)]), ok()], Some((200, 2))),
        // 6.6
        ("push promise", vec![settings(&[]), frame(PUSH_PROMISE, 4, 1, b"\0\0\0\x02\x82"), ok()], None),
        ("push promise: stream 0", vec![settings(&[]), frame(PUSH_PROMISE, 4, 0, b"\0\0\0\x02\x82"), ok()], None),
        // 6.7
        ("ping: ok", vec![settings(&[]), frame(PING, 0, 0, b"12345678"), ok()], Some((200, 2))),
        ("ping: ack nobody asked for", vec![settings(&[]), frame(PING, 1, 0, b"12345678"), ok()], Some((200, 2))),
        ("ping: on stream", vec![settings(&[]), frame(PING, 0, 1, b"12345678"), ok()], None),
        ("ping: length 6", vec![settings(&[]), frame(PING, 0, 0, b"123456"), ok()], None),
        // 6.8
        ("goaway: on stream", vec![settings(&[]), frame(GOAWAY, 0, 1, b"\0\0\0\x01\0\0\0\0"), ok()], None),
        ("goaway: length 7", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0"), ok()], None),
        ("goaway: last 1, no error", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0"), ok()], Some((200, 2))),
        ("goaway: last 1, error", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\x02dbg"), ok()], Some((200, 2))),
        ("goaway: last 0, no error", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0"), ok()], Some((200, 2))),
        ("goaway: last max, no error", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0"), ok()], Some((200, 2))),
        ("goaway: after headers", vec![settings(&[]), head(), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0"), end()], Some((200, 2))),
        ("goaway: after headers, last 0", vec![settings(&[]), head(), frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0"), end()], Some((200, 2))),
        ("goaway: growing", vec![settings(&[]), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0"), frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0"), ok()], Some((200, 2))),
        // 6.9
        ("window: zero on connection", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), ok()], None),
        ("window: zero on stream", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0"), ok()], None),
        ("window: zero on another stream", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 3, b"\0\0\0\0"), ok()], Some((200, 2))),
        ("window: length 3", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01"), ok()], None),
        ("window: overflow connection", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff").repeat(2), ok()], None),
        ("window: overflow stream", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff").repeat(2), ok()], None),
        ("window: reserved bit", vec![settings(&[]), frame(WINDOW_UPDATE, 0, 0, b"\x80\0\0\x01"), ok()], Some((200, 2))),
        // 6.10
        ("continuation: ok", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 4, 1, &lit(b"a", b"b")), end()], Some((200, 2))),
        ("continuation: many", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 0, 1, &lit(b"a", b"b")).repeat(50), frame(CONTINUATION, 4, 1, b""), end()], Some((200, 2))),
        ("continuation: empty ones", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 0, 1, b"").repeat(200), frame(CONTINUATION, 4, 1, b""), end()], Some((200, 2))),
        ("continuation: alone", vec![settings(&[]), frame(CONTINUATION, 4, 1, b"\x88"), ok()], None),
        ("continuation: stream 0", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 4, 0, b""), end()], None),
        ("continuation: other stream", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 4, 3, b""), end()], None),
        ("continuation: ping between", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(PING, 0, 0, &b"x".repeat(8)), frame(CONTINUATION, 4, 1, b""), end()], None),
        ("continuation: unknown frame between", vec![settings(&[]), frame(HEADERS, 0, 1, b"\x88"), frame(0x20, 0, 0, b"x"), frame(CONTINUATION, 4, 1, b""), end()], None),
        ("continuation: after end of headers", vec![settings(&[]), head(), frame(CONTINUATION, 4, 1, &lit(b"a", b"b")), end()], None),
        // 8.1
        ("http: no status", vec![settings(&[]), fields(4, &[(b"a", b"b")]), end()], None),
        ("http: status twice", vec![settings(&[]), frame(HEADERS, 4, 1, b"\x88\x88"), end()], None),
        ("http: status behind field", vec![settings(&[]), fields(4, &[(b"a", b"b"), (b":status", b"200")]), end()], None),
        ("http: unknown pseudo", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b":foo", b"x")].concat()), end()], None),
        ("http: request pseudo", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b":path", b"/")].concat()), end()], None),
        ("http: upper case", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"Aa", b"x")].concat()), end()], None),
        ("http: empty name", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"", b"x")].concat()), end()], None),
        ("http: blank in name", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"a b", b"x")].concat()), end()], None),
        ("http: line feed in value", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"a", b"x\ny")].concat()), end()], None),
        ("http: NUL in value", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"a", b"x\0y")].concat()), end()], None),
        ("http: blanks around value", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"a", b" x ")].concat()), end()], Some((200, 2))),
        ("http: connection field", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"connection", b"close")].concat()), end()], Some((200, 2))),
        ("http: transfer-encoding", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"transfer-encoding", b"chunked")].concat()), end()], Some((200, 2))),
        ("http: te", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"te", b"gzip")].concat()), end()], Some((200, 2))),
        ("http: status 2 digits", vec![settings(&[]), fields(4, &[(b":status", b"20")]), end()], Some((20, 2))),
        ("http: status 4 digits", vec![settings(&[]), fields(4, &[(b":status", b"2000")]), end()], Some((2000, 2))),
        ("http: status +20", vec![settings(&[]), fields(4, &[(b":status", b"+20")]), end()], Some((20, 2))),
        ("http: status text", vec![settings(&[]), fields(4, &[(b":status", b"abc")]), end()], None),
        ("http: status 0", vec![settings(&[]), fields(4, &[(b":status", b"000")]), end()], Some((0, 2))),
        ("http: length too long", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"3")].concat()), end()], None),
        ("http: length too short", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"1")].concat()), end()], None),
        ("http: length right", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"2")].concat()), end()], Some((200, 2))),
        ("http: lengths differ", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"2"), lit(b"content-length", b"3")].concat()), end()], Some((200, 2))),
        ("http: lengths same", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"2").repeat(2)].concat()), end()], Some((200, 2))),
        ("http: length no number", vec![settings(&[]), frame(HEADERS, 4, 1, &[b"\x88".to_vec(), lit(b"content-length", b"x")].concat()), end()], Some((200, 2))),
        ("http: length and end", vec![settings(&[]), frame(HEADERS, 5, 1, &[b"\x88".to_vec(), lit(b"content-length", b"2")].concat())], None),
        ("http: interim 100", vec![settings(&[]), fields(4, &[(b":status", b"100")]), ok()], Some((200, 2))),
        ("http: interim 103 x5", vec![settings(&[]), fields(4, &[(b":status", b"103")]).repeat(5), ok()], Some((200, 2))),
        ("http: interim 103 x6", vec![settings(&[]), fields(4, &[(b":status", b"103")]).repeat(6), ok()], Some((200, 2))),
        ("http: interim 103 x100", vec![settings(&[]), fields(4, &[(b":status", b"103")]).repeat(100), ok()], Some((200, 2))),
        ("http: interim with end", vec![settings(&[]), fields(5, &[(b":status", b"103")]), ok()], None),
        ("http: interim 101", vec![settings(&[]), fields(4, &[(b":status", b"101")]), ok()], Some((200, 2))),
        ("http: trailers", vec![settings(&[]), head(), frame(DATA, 0, 1, b"ok"), fields(5, &[(b"a", b"b")])], Some((200, 2))),
        ("http: trailers without end", vec![settings(&[]), head(), frame(DATA, 0, 1, b"ok"), fields(4, &[(b"a", b"b")]), frame(DATA, 1, 1, b"")], None),
        ("http: trailers with pseudo", vec![settings(&[]), head(), frame(DATA, 0, 1, b"ok"), fields(5, &[(b":status", b"200")])], None),
        ("http: trailers upper case", vec![settings(&[]), head(), frame(DATA, 0, 1, b"ok"), fields(5, &[(b"A", b"b")])], None),
        ("http: 204 with data", vec![settings(&[]), fields(4, &[(b":status", b"204")]), end()], Some((204, 2))),
        ("http: 304 with data", vec![settings(&[]), fields(4, &[(b":status", b"304")]), end()], Some((304, 2))),
    ]
}
