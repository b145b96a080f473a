//! Whole files: the configuration, the targets, the web configuration; and how files are read.

pub mod configuration;
pub mod disk;
pub mod policy;
pub mod source;
pub mod targets;
pub mod text;
pub mod web;
