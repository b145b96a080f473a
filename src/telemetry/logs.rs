//! The log of a failed probe, as OTLP and as DeepFlow wants it.

use gostd::calendar::rfc3339;
use serde_json::{Map, Value as Json, json};

use super::protobuf::{Any, any, attribute, bytes, fixed32, fixed64, message, number};
use super::spans::write_value;
use super::{Finished, SERVICE, nanoseconds};
use crate::probe_log::{Event, Level, LogValue};

/// Most lines of one probe: the last ones, which tell why.
const LINES: usize = 32;

/// Appends the records, each as field 2 of a `ScopeLogs`; how many there are.
pub(super) fn write_otlp(out: &mut Vec<u8>, probe: &Finished<'_>) -> u64 {
    let lines = lines(probe);
    for event in &lines {
        message(out, 2, |out| {
            fixed64(out, 1, nanoseconds(event.at));
            number(
                out,
                2,
                match event.level {
                    Level::Debug => 5,
                    Level::Info => 9,
                    Level::Warn => 13,
                    Level::Error => 17,
                },
            );
            bytes(out, 3, event.level.name().as_bytes());
            any(out, 5, Any::Text(&body(event, probe)));
            attribute(out, 6, "probe.module", &*probe.module.name);
            attribute(out, 6, "probe.target", &*probe.target);
            if let Some(failure) = probe.outcome.failure {
                attribute(out, 6, "probe.failure.reason", failure.reason.name());
            }
            for (name, value) in event.attributes() {
                write_value(out, 6, name, value, probe);
            }
            if let Some(context) = &probe.outcome.trace {
                fixed32(out, 8, u32::from(context.flags));
                bytes(out, 9, &context.trace.0);
                bytes(out, 10, &context.probe().0);
            }
            fixed64(out, 11, nanoseconds(event.at));
        });
    }
    lines.len() as u64
}

/// Appends the records as DeepFlow's `/api/v1/log` takes them, each behind a comma; how many there are.
pub(super) fn write_deepflow(out: &mut Vec<u8>, probe: &Finished<'_>) -> u64 {
    let lines = lines(probe);
    let trace = probe.outcome.trace.as_ref();
    for event in &lines {
        let mut fields = Map::new();
        fields.insert("module".to_owned(), (*probe.module.name).into());
        fields.insert("target".to_owned(), (*probe.target).into());
        if let Some(failure) = probe.outcome.failure {
            fields.insert("reason".to_owned(), failure.reason.name().into());
        }
        for (name, value) in event.attributes() {
            // An object has a key once, and the probe's own come first: its target is not the host of a redirect.
            fields.entry(name).or_insert_with(|| as_json(value, probe));
        }
        let record = json!({
            "message": body(event, probe),
            "level": event.level.name(),
            "timestamp": rfc3339(event.at),
            "app_service": SERVICE,
            "trace_id": trace.map_or_else(String::new, |context| context.trace.to_string()),
            "span_id": trace.map_or_else(String::new, |context| context.probe().to_string()),
            "json": fields,
        });
        out.push(b',');
        out.extend_from_slice(record.to_string().as_bytes());
    }
    lines.len() as u64
}

fn lines<'a>(probe: &'a Finished<'_>) -> Vec<&'a Event> {
    let mut lines: Vec<&Event> = probe.events(Level::Info).collect();
    lines.drain(..lines.len().saturating_sub(LINES));
    lines
}

/// What a line says, its error included.
fn body(event: &Event, probe: &Finished<'_>) -> String {
    let error = event.attributes().find(|(name, _)| *name == "err");
    match error {
        Some((_, error)) => format!("{}: {}", event.message, probe.told(&error.to_string())),
        None => event.message.to_owned(),
    }
}

fn as_json(value: &LogValue, probe: &Finished<'_>) -> Json {
    match value {
        LogValue::Text(text) => (*probe.told(text)).into(),
        LogValue::Bytes(text) => (*probe.told(text)).into(),
        LogValue::Int(number) => (*number).into(),
        LogValue::Float(number) => (*number).into(),
        LogValue::Bool(truth) => (*truth).into(),
        LogValue::Time(_) | LogValue::Ip(_) | LogValue::Address(_) => value.to_string().into(),
    }
}
