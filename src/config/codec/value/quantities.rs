//! Numbers with a unit: durations and sizes.

use go_yaml::Id;
use go_yaml::scalar::Scalar;
use gostd::units;

use super::{Json, Value, Variant};
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::tree::Tree;
use crate::strconv;

/// Nanoseconds, written as Go's `time.Duration`.
pub(crate) struct Duration;

impl Variant<i64> for Duration {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        const WANTED: &str = "a duration";
        d.enter(node, |d, node| {
            let parsed = match d.scalar(node, WANTED) {
                None | Some(Scalar::Null) => return false,
                Some(Scalar::Text(text)) => units::parse_duration(text),
                Some(Scalar::Bytes(bytes)) => {
                    std::str::from_utf8(&bytes).ok().and_then(units::parse_duration)
                }
                Some(_) => None,
            };
            match parsed {
                Some(nanoseconds) => *place = nanoseconds,
                None => {
                    let written = d.document().text(node).unwrap_or_default();
                    let help = match written.parse::<f64>() {
                        Ok(_) => format!("a duration needs a unit: {written}s"),
                        Err(_) => "units are ns, us, ms, s, m and h: 500ms, 5s, 1m30s, 1.5h".to_owned(),
                    };
                    d.report(node, format!("{written:?} is not a duration"), help);
                }
            }
            parsed.is_some()
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::duration()
    }
    fn tree(place: &i64) -> Tree {
        Tree::text(strconv::duration(*place))
    }
}

/// As [`Duration`], but a number without a unit is nanoseconds: so exporter-toolkit's older reader of YAML takes it.
pub(crate) struct DurationOrNumber;

impl Variant<i64> for DurationOrNumber {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| match d.scalar(node, "a duration") {
            None => false,
            Some(Scalar::Int(_) | Scalar::Float(_)) => place.decode(node, d),
            Some(_) => <Duration as Variant<_>>::decode(place, node, d),
        })
    }

    fn schema(_: &mut Sections) -> Json {
        serde_json::json!({"anyOf": [schema::number(), schema::duration()]})
    }
    fn tree(place: &i64) -> Tree {
        <Duration as Variant<_>>::tree(place)
    }
}

/// A number from `FIRST` to `LAST`: what it means when it is another is for its section to say.
pub(crate) struct Within<const FIRST: i64, const LAST: i64>;

impl<const FIRST: i64, const LAST: i64> Variant<i64> for Within<FIRST, LAST> {
    fn schema(_: &mut Sections) -> Json {
        schema::within(FIRST, LAST)
    }
}

impl<const FIRST: i64, const LAST: i64> Variant<Option<i64>> for Within<FIRST, LAST> {
    fn schema(_: &mut Sections) -> Json {
        schema::within(FIRST, LAST)
    }
}

/// Bytes, written with units of 1024 (alecthomas/units `Base2Bytes`).
pub(crate) struct Size;

impl Variant<i64> for Size {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(text) = d.bytes(node) else { return false };
            let text = String::from_utf8_lossy(&text);
            match units::parse_size(&text) {
                Some(bytes) => *place = bytes,
                None => {
                    let help = "a size is a number with a unit: 512B, 10KB, 10MB, 1.5GiB (steps of 1024)";
                    d.report(node, format!("{text:?} is not a size"), help);
                    return false;
                }
            }
            true
        })
    }
    fn schema(_: &mut Sections) -> Json {
        schema::text()
    }
    fn tree(place: &i64) -> Tree {
        Tree::text(units::format_size(*place))
    }
}
