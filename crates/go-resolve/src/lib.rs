#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod config;
pub mod hosts;
pub mod order;
pub mod stub;
pub mod watched;
pub mod wire;
