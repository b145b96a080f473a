//! The configuration of another program: the first byte says of which. What comes out is a targets file that the exporter reads.
#![no_main]

use blackbox_exporter::config::files::targets::Targets;
use blackbox_exporter::migrate::{Input, Program, MigrationSource, migrate, targets_file};
use libfuzzer_sys::fuzz_target;

const PROGRAMS: [Program; 7] = [
    Program::Smokeping,
    Program::PingExporter,
    Program::SslExporter,
    Program::Cloudprober,
    Program::Gatus,
    Program::UptimeKuma,
    Program::Telegraf,
];

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let source = match kind % 9 {
        0 => MigrationSource::Alloy,
        1 => MigrationSource::Prometheus,
        other => PROGRAMS.get(usize::from(other) - 2).map_or(MigrationSource::Alloy, |program| MigrationSource::Other(*program)),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let input = Input {
        name: "fuzz".to_owned(),
        text,
    };
    let address = (kind % 2 == 0).then_some("127.0.0.1:9115");
    if let Ok(migration) = migrate(source, &[input], address, &|_| Err("no files".to_owned())) {
        let written = targets_file(&migration);
        assert!(Targets::parse(&written).is_ok(), "{written}");
    }
});
