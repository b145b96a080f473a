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

/// Families of addresses over which something is to be probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// Whether it was reached over IPv4, and over IPv6.
    pub reached: [bool; 2],
    /// Whether no name server answers for the other family: who asks for both waits for nothing.
    pub is_only: bool,
}

/// The family that works.
pub fn prefer(families: Families) -> Value {
    let [four, six] = families.reached;
    let protocol = if four || !six { "ip4" } else { "ip6" };
    match families.is_only {
        true => only(protocol),
        false => json!({"preferred_ip_protocol": protocol}),
    }
}

/// Settings over the family that works.
pub fn over(families: Families, settings: Value) -> Value {
    with(prefer(families), settings)
}
