//! Responses of servers that are odd, read by reqwest: the status and the length of the body, or `error`.

/// A line on standard input is a path to ask for on the server at that port.
pub async fn run(port: &str) {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .no_gzip();
    let client = client.pool_max_idle_per_host(0).build().unwrap();
    for path in std::io::stdin().lines().map_while(Result::ok) {
        let response = async {
            let response = client
                .get(format!("http://127.0.0.1:{port}{path}"))
                .send()
                .await?;
            let status = response.status().as_u16();
            reqwest::Result::Ok((status, response.bytes().await?.len()))
        };
        match tokio::time::timeout(std::time::Duration::from_secs(3), response).await {
            Ok(Ok((status, length))) => println!("{status} {length}"),
            _ => println!("error"),
        }
    }
}
