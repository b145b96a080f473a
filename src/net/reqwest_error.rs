//! Errors of reqwest, for logs.

use std::error::Error;
use std::io;
use std::iter::successors;

use super::tls;
use crate::os_error::SystemError;

/// Why a request failed: the innermost cause. What reqwest says itself is only that sending failed, and to which URL, which may hold
/// a password.
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = successors(error.source(), |cause| (**cause).source());
    match causes.last() {
        Some(cause) => {
            let of_system = cause.downcast_ref::<io::Error>();
            let of_tls = of_system.map_or_else(|| cause.downcast_ref(), tls::by_rustls);
            match (of_tls, of_system) {
                (Some(error), _) => tls::in_words(error),
                (None, Some(error)) => SystemError(error).to_string(),
                (None, None) => cause.to_string(),
            }
        }
        None => error.to_string(),
    }
}
