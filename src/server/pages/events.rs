//! `/events`: what changes on an open page with the wall, as server-sent events.
//!
//! An open page costs work as long as it is open, so there are few [places](Places) for them, which client addresses share, and each is
//! told what is new once in a while, however much there is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Serialize;
use tokio::sync::Notify;

use super::wall::{Filter, RowView, Tabs, View};
use crate::server::Exporter;
use crate::server::wall::Row;

/// How often an open page is told what changed.
const PACE: Duration = Duration::from_secs(2);
/// How long an open page is told before it must ask again.
const TURN: Duration = Duration::from_secs(300);
/// After how many looks without news a word is sent all the same, so that a page that is gone is noticed.
const QUIET: usize = 8;
/// Maximum pages that are told concurrently.
const PLACES: usize = 32;

/// The places of open pages.
#[derive(Debug, Default)]
pub struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    count: usize,
    /// By client address, in the order of their coming; each is told when it must go.
    by_party: HashMap<IpAddr, BTreeMap<u64, Arc<Notify>>>,
}

/// The place of an open page, until it is dropped.
struct Place {
    exporter: Arc<Exporter>,
    party: IpAddr,
    number: u64,
}

impl Places {
    /// A number for one more page of an address, and what tells it to go. When there is no place left, the oldest page goes of the
    /// address that has most, if that has more than its share and this one has less.
    fn take(&self, party: IpAddr) -> Option<(u64, Arc<Notify>)> {
        let mut taken = self.lock();
        if taken.count >= PLACES {
            let own = taken.by_party.get(&party).map_or(0, BTreeMap::len);
            let parties = taken.by_party.len() + usize::from(own == 0);
            let (most, pages) = taken.by_party.iter().max_by_key(|(_, pages)| pages.len())?;
            let oldest =
                (own < PLACES / parties && pages.len() > own + 1).then(|| pages.keys().next().copied());
            let (most, oldest) = (*most, oldest.flatten()?);
            if let Some(leave) = taken.remove(most, oldest) {
                leave.notify_one();
            }
        }
        let (number, leave) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.count += 1;
        let pages = taken.by_party.entry(party).or_default();
        pages.insert(number, Arc::clone(&leave));
        Some((number, leave))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn remove(&mut self, party: IpAddr, number: u64) -> Option<Arc<Notify>> {
        let pages = self.by_party.get_mut(&party)?;
        let page = pages.remove(&number)?;
        if pages.is_empty() {
            self.by_party.remove(&party);
        }
        self.count -= 1;
        Some(page)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.exporter.open_pages.lock().remove(self.party, self.number);
    }
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
        let html = |row: &Arc<Row>| (row.id, RowView::new(row).to_string());
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
    let (number, leave) = exporter.open_pages.take(party)?;
    let place = Place {
        exporter: Arc::clone(&exporter),
        party,
        number,
    };
    let told_to_go = async move { leave.notified().await };
    let updates = updates(exporter, filter, since).take_until(Box::pin(told_to_go));
    Some(updates.map(move |update| {
        let _until_the_end = &place;
        // A comment says that there is nothing new.
        update.map_or_else(|| ":\n\n".to_owned(), |update| update.event())
    }))
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

    #[test]
    fn addresses_share_the_places() {
        let (places, greedy, honest) = (Places::default(), [192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = places.take(greedy).unwrap();
        for _ in 1..PLACES {
            assert!(places.take(greedy).is_some());
        }
        assert!(
            places.take(greedy).is_none(),
            "one address never takes its own places"
        );
        for _ in 0..PLACES / 2 {
            assert!(places.take(honest).is_some());
        }
        assert!(places.take(honest).is_none() && places.take(greedy).is_none());
        let taken = places.lock();
        let held = |party: IpAddr| taken.by_party.get(&party).map_or(0, BTreeMap::len);
        assert_eq!(
            (taken.count, held(greedy), held(honest)),
            (PLACES, PLACES / 2, PLACES / 2)
        );
        drop(taken);
        // The oldest was told to go; it is gone already.
        assert!(places.lock().remove(greedy, first.0).is_none());
    }
}
