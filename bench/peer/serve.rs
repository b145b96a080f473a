//! Targets that bench/run.py cannot have from nginx or unbound.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// A gRPC health server, and a port that accepts and stays silent.
pub async fn serve(grpc: u16, hang: u16) {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let address = SocketAddr::from(([127, 0, 0, 1], grpc));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve(address),
    );
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], hang))).unwrap();
    let listener: TcpListener = socket.listen(4096).unwrap();
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                // Held until the other side leaves.
                tokio::spawn(async move { while let Ok(1..) = stream.read(&mut [0; 64]).await {} });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
