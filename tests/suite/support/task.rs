//! Tasks that peers and requests of tests run in.

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

/// `tokio::spawn` with the future in a box. It compiles what runs a task once more for each type of future; the 240 of this
/// suite were nearly half of its code.
#[track_caller]
pub fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future.boxed())
}
