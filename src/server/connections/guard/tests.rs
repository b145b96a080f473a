use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::server::connections::requests::Abandoned;

/// Its end is read.
impl Leaving for DuplexStream {
    const HALF_CLOSE: bool = false;

    fn has_left(&self, _cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Pending
    }
}

fn guarded() -> (Guarded<DuplexStream>, DuplexStream, Requests) {
    let (ours, theirs) = duplex(64);
    let requests = Requests::alone(Abandoned::IsAnswered);
    (Guarded::new(ours, requests.clone()), theirs, requests)
}

/// After how many seconds reading is given up.
async fn times_out(stream: &mut Guarded<DuplexStream>) -> u64 {
    let start = Instant::now();
    let error = stream.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    start.elapsed().as_secs()
}

/// How many bytes are read.
async fn read(stream: &mut Guarded<DuplexStream>) -> usize {
    stream.read(&mut [0; 16]).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let (mut stream, _peer, _) = guarded();
    assert_eq!(times_out(&mut stream).await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_head_in_small_pieces_gets_no_more_time() {
    let (mut stream, mut peer, _) = guarded();
    let dribble = tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(7)).await;
            if peer.write_all(b"X").await.is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    while stream.read(&mut [0; 16]).await.is_ok() {}
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(stream);
    dribble.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_may_last_and_the_next_may_be_waited_for() {
    let (mut stream, mut peer, requests) = guarded();
    peer.write_all(b"GET /HTTP/1.1\n\n").await.unwrap();
    assert_eq!(read(&mut stream).await, 15);
    let request = requests.begin(false);
    let long = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
    assert!(long.is_err(), "a request under way was cut off");
    drop(request);
    assert_eq!(times_out(&mut stream).await, 360);
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_request_behind_another_gets_no_more_time() {
    for (head, want) in [
        ("GET / HTTP/1.1\r\n\r\n", 360),
        ("GET / HTTP/1.1\n\n", 360),
        ("GET / HTTP/1.1\r\n\r\nG", 30),
        ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n", 30),
    ] {
        let (mut stream, mut peer, requests) = guarded();
        peer.write_all(head.as_bytes()).await.unwrap();
        let mut read_now = 0;
        while read_now < head.len() {
            read_now += read(&mut stream).await;
        }
        drop(requests.begin(false));
        assert_eq!(times_out(&mut stream).await, want, "{head:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_no_beginning_of_a_request() {
    let (mut stream, mut peer, requests) = guarded();
    peer.write_all(b"POST / HTTP/1.1\r\n\r\nbody").await.unwrap();
    for _ in 0..2 {
        read(&mut stream).await;
    }
    drop(requests.begin(true));
    assert_eq!(times_out(&mut stream).await, 360);
}

#[tokio::test(start_paused = true)]
async fn who_closes_their_side_may_wait_for_the_answer() {
    for (abandoned, waits) in [(Abandoned::IsAnswered, true), (Abandoned::Ends, false)] {
        let (mut stream, mut peer, requests) = guarded();
        peer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(read(&mut stream).await, 16);
        let request = requests.begin(false);
        if abandoned == Abandoned::Ends {
            requests.end_with_caller();
        }
        peer.shutdown().await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
        assert_eq!(end.is_err(), waits, "{abandoned:?}");
        drop(request);
        assert_eq!(read(&mut stream).await, 0, "{abandoned:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_answer_is_given_up() {
    let (mut stream, _peer, _) = guarded();
    let start = Instant::now();
    let result = stream.write_all(&[0; 1000]).await;
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_no_window_is_given_up() {
    let (ours, _theirs) = duplex(64);
    let requests = Requests::alone(Abandoned::Ends);
    let mut stream = Guarded::new(ours, requests.clone());
    drop(requests.begin(false));
    let answer = requests.answer();
    let taken = tokio::time::timeout(Duration::from_secs(50), read(&mut stream)).await;
    assert!(taken.is_err(), "given up too early");
    answer.was_taken();
    assert_eq!(times_out(&mut stream).await, 60);
}

#[tokio::test(start_paused = true)]
async fn lines_are_written_anew_however_they_come() {
    for (pieces, want) in [
        (
            &["GET /x#y HTTP/1.1\r\nA: #\r\n\r\n"] as &[&str],
            "GET /x%23y HTTP/1.1\r\nA: #\r\n\r\n",
        ),
        (
            &["GET /x#", "y HTTP/1.1\r", "\nA: b\r\n"],
            "GET /x%23y HTTP/1.1\r\nA: b\r\n",
        ),
        (&["GE", "T /x HTTP/1.1\r\n"], "GET /x HTTP/1.1\r\n"),
        (&["GET /half"], "GET /half"),
    ] {
        let (mut stream, mut peer, _) = guarded();
        let pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
        let sent = tokio::spawn(async move {
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        });
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, want);
        sent.await.unwrap();
    }
}
