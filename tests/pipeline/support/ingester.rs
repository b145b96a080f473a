//! A receiver of Prometheus remote write that keeps what DeepFlow's ingester keeps.
//!
//! The agent listens at `/api/v1/prometheus` and passes the request on; the server's
//! `ingester/prometheus/decoder` decodes a snappy block with a `WriteRequest` (version 1), refuses a series
//! without a name or with neither job nor instance, skips NaN and infinities (and so Prometheus' staleness
//! markers), and keeps whole seconds.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    thread,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use prost::Message;
use tokio::{net::TcpListener, runtime, sync::oneshot};

/// Name and labels, which is what a series is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The metric.
    pub name: String,
    /// The other labels.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// Whether the series has this name and these labels, and maybe more.
    pub fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(name, value)| self.labels.get(*name).is_some_and(|have| have == value))
    }
}

/// What was received.
#[derive(Default)]
struct Store {
    /// Samples by series: seconds since 1970 and the value, as they came.
    samples: BTreeMap<Series, Vec<(u32, f64)>>,
    /// Samples that were skipped because they are no finite number.
    skipped: usize,
    /// What the ingester would refuse.
    refused: Vec<String>,
}

/// The running receiver.
pub struct Ingester {
    /// `http://host:port/api/v1/prometheus`.
    pub url: String,
    store: Arc<Mutex<Store>>,
    _stop: oneshot::Sender<()>,
}

impl Ingester {
    /// Starts to receive.
    pub fn start() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let app = Router::new()
            .route("/api/v1/prometheus", post(receive))
            .with_state(Arc::clone(&store));
        let (stop, stopped) = oneshot::channel::<()>();
        let (say, said) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                say.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    ended = axum::serve(listener, app) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let url = format!("http://{}/api/v1/prometheus", said.recv().unwrap());
        Self {
            url,
            store,
            _stop: stop,
        }
    }

    /// The samples of the one series with this name and (among others) these labels.
    pub fn samples(&self, name: &str, labels: &[(&str, &str)]) -> Result<Vec<(u32, f64)>, String> {
        let store = self.store.lock().unwrap();
        let mut found = store.samples.iter().filter(|(series, _)| series.is(name, labels));
        let (_, samples) = found
            .next()
            .ok_or_else(|| format!("no series {name} {labels:?}"))?;
        match found.next() {
            None => Ok(samples.clone()),
            Some((another, _)) => Err(format!("more than one series {name} {labels:?}: {another:?}")),
        }
    }

    /// The newest value of that series.
    pub fn last(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64, String> {
        let samples = self.samples(name, labels)?;
        samples
            .last()
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("no sample of {name} {labels:?}"))
    }

    /// All series with these labels.
    pub fn series(&self, labels: &[(&str, &str)]) -> Vec<Series> {
        let store = self.store.lock().unwrap();
        store
            .samples
            .keys()
            .filter(|series| series.is(&series.name, labels))
            .cloned()
            .collect()
    }

    /// What the ingester would refuse, and how many samples it would skip.
    pub fn refused(&self) -> (Vec<String>, usize) {
        let store = self.store.lock().unwrap();
        (store.refused.clone(), store.skipped)
    }
}

async fn receive(State(store): State<Arc<Mutex<Store>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut store = store.lock().unwrap();
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if header("content-encoding") != "snappy" || header("content-type") != "application/x-protobuf" {
        store.refused.push(format!("headers {headers:?}"));
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let request = snap::raw::Decoder::new()
        .decompress_vec(&body)
        .map_err(|err| err.to_string())
        .and_then(|block| WriteRequest::decode(block.as_slice()).map_err(|err| err.to_string()));
    match request {
        Ok(request) => request
            .timeseries
            .into_iter()
            .for_each(|series| store.ingest(series)),
        Err(err) => store.refused.push(err),
    }
    StatusCode::NO_CONTENT
}

impl Store {
    fn ingest(&mut self, series: TimeSeries) {
        let mut labels: BTreeMap<_, _> = series
            .labels
            .into_iter()
            .map(|label| (label.name, label.value))
            .collect();
        let Some(name) = labels.remove("__name__") else {
            return self.refused.push(format!("no name: {labels:?}"));
        };
        let has = |name: &str| labels.get(name).is_some_and(|value| !value.is_empty());
        if !has("job") && !has("instance") {
            return self
                .refused
                .push(format!("neither job nor instance: {name} {labels:?}"));
        }
        let kept = self.samples.entry(Series { name, labels }).or_default();
        for sample in series.samples {
            if sample.value.is_finite() {
                kept.push((u32::try_from(sample.timestamp / 1000).unwrap(), sample.value));
            } else {
                self.skipped += 1;
            }
        }
    }
}

/// `prometheus.WriteRequest` of remote write 1.0, without the metadata that DeepFlow does not read.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<WireSample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireSample {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}
