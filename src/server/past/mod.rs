//! Past probes: what is kept of them, and their text.

pub mod debug;
pub mod entry;
pub mod history;
pub mod pieces;
pub mod row;
pub mod wall;
