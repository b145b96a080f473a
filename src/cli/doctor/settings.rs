//! Modules and their settings, made of JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::display::is_active;
use crate::module::{self, Module};

/// JSON, which is YAML and in which texts are those of PromQL, with escapes for what a terminal acts on and YAML refuses.
pub fn written(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if is_active(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A module of its own.
pub fn compiled(module: &Value) -> Result<Arc<Module>, String> {
    let text = written(&json!({"modules": {"doctor": module}}));
    let loaded = module::parse(text, "doctor").map_err(|error| error.to_string())?;
    loaded
        .modules
        .get("doctor")
        .cloned()
        .ok_or_else(|| "no module".to_owned())
}

/// The settings of both.
pub fn with(mut settings: Value, more: Value) -> Value {
    if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
        settings.extend(more);
    }
    settings
}

/// That family and no other.
pub fn only(protocol: &str) -> Value {
    json!({"preferred_ip_protocol": protocol, "ip_protocol_fallback": false})
}

/// The family that works.
pub fn prefer([four, six]: [bool; 2]) -> Value {
    json!({"preferred_ip_protocol": if four || !six { "ip4" } else { "ip6" }})
}

/// Settings over the family that works.
pub fn over(families: [bool; 2], settings: Value) -> Value {
    with(prefer(families), settings)
}
