//! What the first handshake of a process would have to wait for, done before the clock of a probe starts.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::OnceCell;

use super::{ClientTls, Roots};

static SEEDED: OnceCell<()> = OnceCell::const_new();

/// Seeds the random numbers of the crypto library: it gathers entropy for a tenth of a second, once. Returns when that is done,
/// whoever did it. Not done at the start, because it makes 2 MiB of the library resident, which an idle exporter can do without.
pub async fn seed() {
    let seed = || async {
        // If it fails, handshakes will say so.
        let _ = tokio::task::spawn_blocking(|| SystemRandom::new().fill(&mut [0])).await;
    };
    SEEDED.get_or_init(seed).await;
}

impl ClientTls {
    /// Loads what handshakes with this configuration share with all others: the system's CA certificates, if they count. The files
    /// of the configuration itself are for [`prepare`](Self::prepare), which says what is wrong with them.
    pub async fn get_ready(&self, roots: &Roots) {
        if self.trusts_the_system() {
            // What is missing for it, `prepare` says.
            let _ = roots.latest().await;
        }
    }
}
