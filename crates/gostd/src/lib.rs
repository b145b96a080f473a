#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod address;
pub mod calendar;
pub mod carried;
pub mod deadline;
pub mod float;
pub mod http_date;
pub mod json;
pub mod os_error;
pub mod protobuf;
pub mod query;
pub mod stack;
pub mod stamp;
pub mod strconv;
pub mod units;
pub mod url;
