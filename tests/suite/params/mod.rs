//! Parameters of a scrape: what a module allows, and what callers try all the same.

mod refused;
mod setting;
mod shown;

use crate::http::site::{Asked, Site, answer};
use crate::support::{Answer, Exporter};

/// Answers with the head of the request.
async fn echo() -> Site {
    Site::with(|asked: &Asked| answer("203 OK", &[], asked.head.clone())).await
}

async fn page(exporter: &Exporter, path: &str) -> Answer {
    exporter.request("GET", path, &[("Accept", "text/html")]).await
}
