//! Several addresses of one name: the order, the shares of time and the head start of Go's `net.Dialer`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{DialCause, DialError, Opened, Vantage, tcp};
use crate::net::{Deadline, Network};

/// How long the addresses of the first family are tried alone (RFC 8305), as in Go.
const HEAD_START: Duration = Duration::from_millis(300);

/// The least that an address is given, as far as there is time.
const LEAST_SHARE: Duration = Duration::from_secs(2);

/// A connection to one of several addresses.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub opened: Opened,
    /// The address that it leads to.
    pub address: SocketAddr,
    /// What went wrong with those before.
    pub failed: Vec<DialError>,
}

/// Opens a connection to the first of `to` that accepts one. The family of the first address has a head start; then the
/// other one is tried beside it. The addresses of a family are tried one after the other, each for its share of the time
/// that is left.
///
/// # Errors
/// Those of all addresses that were tried, the first one's in front. Never empty, unless `to` is.
pub async fn several(
    network: &Network,
    deadline: Deadline,
    to: &[SocketAddr],
    vantage: &Vantage,
) -> Result<Dialled, Vec<DialError>> {
    let is_first = |address: &SocketAddr| {
        to.first()
            .is_some_and(|first| first.is_ipv4() == address.is_ipv4())
    };
    let (first, second): (Vec<_>, Vec<_>) = to.iter().partition(|address| is_first(address));
    let first = in_turn(network, deadline, &first, vantage);
    if second.is_empty() {
        return first.await;
    }
    let second = in_turn(network, deadline, &second, vantage);
    tokio::pin!(first, second);
    let (error, other) = match timeout(HEAD_START, &mut first).await {
        Ok(Ok(dialled)) => return Ok(dialled),
        Ok(Err(failed)) => (failed, second.await),
        Err(_) => tokio::select! {
            ended = &mut first => match ended {
                Ok(dialled) => return Ok(dialled),
                Err(failed) => (failed, second.await),
            },
            ended = &mut second => match ended {
                Ok(dialled) => return Ok(dialled),
                Err(failed) => return first.await.map_err(|first| both(first, failed)),
            },
        },
    };
    match other {
        Ok(mut dialled) => {
            dialled.failed = both(error, dialled.failed);
            Ok(dialled)
        }
        Err(failed) => Err(both(error, failed)),
    }
}

fn both(mut first: Vec<DialError>, second: Vec<DialError>) -> Vec<DialError> {
    first.extend(second);
    first
}

async fn in_turn(
    network: &Network,
    deadline: Deadline,
    to: &[&SocketAddr],
    vantage: &Vantage,
) -> Result<Dialled, Vec<DialError>> {
    let mut failed = Vec::new();
    for (tried, address) in to.iter().enumerate() {
        let left = deadline.left();
        let remaining = u32::try_from(to.len() - tried).unwrap_or(u32::MAX);
        let share = (left / remaining).max(LEAST_SHARE.min(left));
        let part = Deadline::after(Instant::now(), share);
        let by = if share < left { part } else { deadline };
        match tcp(network, by, **address, vantage).await {
            Ok(opened) => {
                return Ok(Dialled {
                    opened,
                    address: **address,
                    failed,
                });
            }
            Err(mut error) => {
                if share < left && matches!(error.cause, DialCause::TimedOut(_)) {
                    error.cause = DialCause::NoAnswer(share);
                }
                failed.push(error);
            }
        }
    }
    Err(failed)
}
