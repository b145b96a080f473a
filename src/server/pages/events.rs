//! `/events`: what changes on an open page with the wall, as server-sent events.
//!
//! An open page costs work as long as it is open, so there are few [places](Places) for them, which client addresses share, and each is
//! told what is new once in a while, however much there is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Serialize;

use super::wall::{Filter, Tabs, View};
use crate::server::Exporter;
use crate::server::connections::shares::{Rule, Shares, Taken};
use crate::server::past::row::Row;

/// How often an open page is told what changed.
const PACE: Duration = Duration::from_secs(2);
/// How long an open page is told before it must ask again.
const TURN: Duration = Duration::from_secs(300);
/// After how many looks without news an event is sent all the same, so that either side notices when the other is gone.
const QUIET: usize = 8;
/// That event: scripts do not see comments.
const NO_NEWS: &str = "event: quiet\ndata: 0\n\n";
/// Maximum pages that are told concurrently.
const PLACES: usize = 32;

/// The places of open pages.
pub type Places = Shares<Placing>;

/// How they are shared.
#[derive(Debug, Default)]
pub struct Placing;

impl Rule for Placing {
    type Holder = ();
    type Waiter = ();

    /// When there is no place left, the oldest page goes of the address that has most, if that has more than its share and this one
    /// has less.
    fn admits(&self, taken: &mut Taken<Self>, party: IpAddr) -> bool {
        let own = taken.held_by(party);
        let has_less = own < taken.fair(PLACES, party);
        let most = taken.has_most();
        let gives_way = most.filter(|most| has_less && taken.held_by(*most) > own + 1);
        taken.count() < PLACES || gives_way.is_some_and(|most| taken.dismiss(most, |()| Some(0)))
    }

    fn give(&self, _: IpAddr, (): &(), _: bool) {}
}

/// What changed on an open page.
#[derive(Debug, Serialize)]
struct Update {
    /// What an open page names when it asks again.
    #[serde(skip)]
    version: u64,
    /// The ids of its rows in their order.
    order: Vec<u64>,
    /// The rows that changed, as HTML.
    rows: BTreeMap<u64, String>,
    /// The counts, as HTML.
    tabs: String,
    /// The time here, in milliseconds since 1970.
    now: u128,
}

impl Update {
    fn of(exporter: &Exporter, filter: &Filter, since: u64) -> Self {
        let view = View::of(exporter, filter);
        let changed = view.rows.iter().filter(|row| row.version > since);
        let html = |row: &Arc<Row>| (row.id, view.shown(row).to_string());
        Self {
            version: view.version,
            order: view.rows.iter().map(|row| row.id).collect(),
            rows: changed.map(html).collect(),
            tabs: Tabs::new(filter, &view).to_string(),
            now: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis(),
        }
    }

    /// The update as a server-sent event.
    fn event(&self) -> String {
        // Numbers and texts: it does not fail.
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("id: {}\ndata: {data}\n\n", self.version)
    }
}

/// The events that keep a page of an address up to date; none when there is no place for it.
pub fn events(
    exporter: Arc<Exporter>,
    party: IpAddr,
    filter: Filter,
    since: u64,
) -> Option<impl Stream<Item = String> + Send> {
    // A page does not wait for a place.
    let place = exporter.open_pages.take(party, ()).now_or_never().flatten()?;
    let told_to_go = async move { place.lost().await };
    let updates = updates(exporter, filter, since).take_until(Box::pin(told_to_go));
    Some(updates.map(|update| update.map_or_else(|| NO_NEWS.to_owned(), |update| update.event())))
}

/// How far an open page was told.
struct Told {
    since: u64,
    order: Vec<u64>,
    /// Looks without news since the last word.
    quiet: usize,
    is_first: bool,
}

/// What changes on a page that shows `filter` and is as new as `since`. The making of an update takes milliseconds when there are many
/// targets, so it is made elsewhere than where probes are served.
fn updates(exporter: Arc<Exporter>, filter: Filter, since: u64) -> impl Stream<Item = Option<Update>> + Send {
    let end = Instant::now() + TURN;
    let told = Told {
        since,
        order: Vec::new(),
        quiet: 0,
        is_first: true,
    };
    stream::unfold(told, move |mut told| {
        let (exporter, filter) = (Arc::clone(&exporter), filter.clone());
        async move {
            loop {
                let is_first = std::mem::take(&mut told.is_first);
                if !is_first {
                    if Instant::now() > end {
                        return None;
                    }
                    tokio::time::sleep(PACE).await;
                }
                if is_first || exporter.history.wall.version() > told.since {
                    let (exporter, filter, since) = (Arc::clone(&exporter), filter.clone(), told.since);
                    let update = tokio::task::spawn_blocking(move || Update::of(&exporter, &filter, since));
                    let update = update.await.ok()?;
                    let is_news = update.version > told.since
                        && (!update.rows.is_empty() || update.order != told.order);
                    told.since = update.version;
                    if is_news {
                        told.order.clone_from(&update.order);
                        told.quiet = 0;
                        return Some((Some(update), told));
                    }
                }
                told.quiet += 1;
                if told.quiet == QUIET {
                    told.quiet = 0;
                    return Some((None, told));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::connections::shares::Share;

    #[test]
    fn addresses_share_the_places() {
        let (greedy, honest) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let places = Arc::new(Places::default());
        let take = |party: IpAddr| places.take(party, ()).now_or_never().flatten();
        let pages: Vec<_> = (0..PLACES).map(|_| take(greedy).unwrap()).collect();
        assert!(take(greedy).is_none(), "one address never takes its own places");
        let others: Vec<_> = (0..PLACES / 2).map(|_| take(honest).unwrap()).collect();
        assert!(take(honest).is_none() && take(greedy).is_none());
        // The oldest were told to go.
        let has_gone = |page: &Share<Placing>| page.lost().now_or_never().is_some();
        assert!(
            pages
                .iter()
                .map(has_gone)
                .eq((0..PLACES).map(|page| page < PLACES / 2))
        );
        assert!(!others.iter().any(has_gone));
    }
}
