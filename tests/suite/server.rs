//! The endpoints, without any probe that succeeds.

use crate::support::Exporter;

#[tokio::test]
async fn says_that_it_is_healthy() {
    let exporter = Exporter::start("modules: {}\n", &[]).await;
    let answer = exporter.get("/-/healthy").await;
    assert_eq!((answer.status, answer.text()), (200, "Healthy"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn refuses_unknown_modules_and_counts_them() {
    let exporter = Exporter::start("modules: {}\n", &[]).await;
    let answer = exporter.probe("a\"b\nc", "x").await;
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Unknown module \"a\\\"b\\nc\"\n")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let metrics = exporter.get("/metrics").await;
    assert_eq!(metrics.sample("blackbox_module_unknown_total"), Some(1.0));
}

#[tokio::test]
async fn stops_when_told_to() {
    let exporter = Exporter::start("modules: {}\n", &[]).await;
    let address = exporter.address;
    exporter.running.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
