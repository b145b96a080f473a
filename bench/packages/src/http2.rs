//! h2 with the servers that `go-http` is tested with: how many get another verdict than from Go.

#[allow(dead_code)]
#[path = "../../../crates/go-http/src/http2/odd/servers.rs"]
mod servers;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub async fn run() {
    let all = servers::servers();
    let count = all.len();
    let mut differ = Vec::new();
    for (name, wire, want) in all {
        let got = judge(wire.concat()).await;
        if got != want {
            differ.push(format!("{name}: {got:?}, in Go {want:?}"));
        }
    }
    println!("{} {count}\n{}", differ.len(), differ.join("\n"));
}

/// The status and how many bytes of a body came, if the response was whole.
async fn judge(wire: Vec<u8>) -> Option<(u16, u64)> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 17);
    let server = tokio::spawn(async move {
        // h2 takes nothing that answers a request before it was sent.
        let mut preface = [0; 24];
        theirs.read_exact(&mut preface).await.unwrap();
        loop {
            let mut head = [0; 9];
            theirs.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            theirs.read_exact(&mut vec![0; length as usize]).await.unwrap();
            if head[3] == servers::HEADERS {
                break;
            }
        }
        theirs.write_all(&wire).await.unwrap();
        let _ = theirs.read_to_end(&mut Vec::new()).await;
    });
    let whole = async {
        let (sender, connection) = h2::client::handshake(ours).await.ok()?;
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await.ok()?;
        let request = http::Request::get("https://x/").body(()).unwrap();
        let response = sender.send_request(request, true).ok()?.0.await;
        let response = response.ok()?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut length = 0;
        while let Some(data) = body.data().await {
            let data = data.ok()?;
            length += data.len() as u64;
            let _ = body.flow_control().release_capacity(data.len());
        }
        body.trailers().await.ok()?;
        connection.abort();
        Some((status, length))
    };
    let judged = tokio::time::timeout(std::time::Duration::from_secs(2), whole).await;
    server.abort();
    judged.ok().flatten()
}
