//! A web configuration file: any text is read, or refused with an error that can be shown.
#![no_main]

use blackbox_exporter::config::files::web::Web;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    match Web::parse(data) {
        Ok(web) => drop(web.tls.versions()),
        Err(error) => drop(error.to_string()),
    }
});
