//! `count` and `interval`: several packets of one probe. Not in upstream.

use go_yaml::Id;

use crate::config::codec::decode::Decoder;
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::{Duration, Within};

/// Most packets of one probe.
pub(super) const MOST: i64 = 1000;
/// The shortest interval, in nanoseconds: what a target is spared.
const SHORTEST: i64 = 1_000_000;
/// The interval when none is written.
const INTERVAL: i64 = 200_000_000;

section! {
    /// The number of packets per probe, and the time between them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Repeat {
        /// Packets, 0 when it is not written, which means one.
        omit count: i64 as Within<0, MOST>,
        /// Nanoseconds between two packets, 0 when it is not written.
        omit interval: i64 as Duration,
    }
}

impl Section for Repeat {}

impl Repeat {
    /// How many packets.
    pub fn packets(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(0).max(1)
    }

    /// How far apart.
    pub fn pause(&self) -> std::time::Duration {
        let interval = if self.interval == 0 {
            INTERVAL
        } else {
            self.interval
        };
        std::time::Duration::from_nanos(u64::try_from(interval).unwrap_or(0))
    }

    /// Checks what was read from the section at `node`.
    pub(crate) fn judge(&self, node: Id, d: &mut Decoder<'_, '_>) {
        if self.count != 0 && !(1..=MOST).contains(&self.count) {
            let message = format!("\"count\" is {}, not between 1 and {MOST}", self.count);
            d.report_field(node, "count", message, None);
        }
        if self.interval != 0 && self.interval < SHORTEST {
            d.report_field(node, "interval", "\"interval\" is shorter than 1ms", None);
        }
        if self.interval != 0 && self.count <= 1 {
            let message = "\"interval\" has no effect: only one packet is sent";
            d.warn(node, "interval", message, "set count");
        }
    }

    /// Warns when the last packet of a module's section cannot be answered in time. Of its timeout, in nanoseconds, each attempt has a
    /// share, and of that each address if `all` are probed.
    pub(crate) fn warn(
        &self,
        section: &str,
        (timeout, attempts, all): (i64, u32, bool),
        module: Id,
        d: &mut Decoder<'_, '_>,
    ) {
        let last = self.pause() * (self.packets() - 1);
        let Some(timeout) = u64::try_from(timeout).ok().filter(|timeout| *timeout > 0) else {
            return;
        };
        let time = std::time::Duration::from_nanos(timeout) / attempts.max(1);
        let half = time / 2;
        let limit = match attempts {
            1 if last >= time => "which is later than the module's timeout".to_owned(),
            _ if last >= time => {
                format!(
                    "which is later than {time:?}, the share of the timeout of one of {attempts} attempts"
                )
            }
            _ if last >= half && all => {
                format!("which can be too late: if the name has two addresses, each has {half:?}")
            }
            _ => return,
        };
        let message = format!(
            "the last of {} packets would be sent after {last:?}, {limit}",
            self.count
        );
        let help = "raise timeout, or lower count or interval";
        d.warn(module, section, message, help);
    }
}
