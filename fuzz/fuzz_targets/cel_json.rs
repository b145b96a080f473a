//! A CEL expression, a line end, and a JSON body that it judges. Neither compiling nor judging takes longer than the deadline, give or
//! take what a slow machine adds; memory is libFuzzer's to watch.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use blackbox_exporter::check::cel::{Cel, judge};
use blackbox_exporter::probe_log::ProbeLog;
use gostd::deadline::Deadline;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().ok());

const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(10);

fuzz_target!(|data: &str| {
    let (expression, body) = data.split_once('\n').unwrap_or(("body.a == 1", data));
    let (Ok(cel), Some(runtime)) = (Cel::new(expression), RUNTIME.as_ref()) else {
        return;
    };
    runtime.block_on(async {
        let start = Instant::now();
        let body = body.as_bytes().to_vec().into();
        let deadline = Deadline::after(start, DEADLINE);
        let _ = judge(body, None, Some(&cel), deadline, &mut ProbeLog::default()).await;
        assert!(start.elapsed() < DEADLINE + GRACE);
    });
});
