//! Records of the suites with AES-CBC: whatever a peer sends is a record or an error, a record of ours is read as it was written, and
//! one with a byte changed is not read.
#![no_main]

use blackbox_exporter::net::tls::cbc_suites;
use libfuzzer_sys::fuzz_target;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, MessageDecrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::{ContentType, ProtocolVersion, SupportedCipherSuite};

const VERSION: ProtocolVersion = ProtocolVersion::TLSv1_2;
const KIND: ContentType = ContentType::ApplicationData;

fn read(reader: &mut dyn MessageDecrypter, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let record = InboundOpaqueMessage::new(KIND, VERSION, &mut bytes);
    reader
        .decrypt(record, 0)
        .ok()
        .map(|message| message.payload.to_vec())
}

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (long, at, data) = input;
    let data = &data[..data.len().min(1 << 14)];
    let (suite, key) = match long {
        false => (0, &[7; 32][..16]),
        true => (2, &[7; 32][..]),
    };
    let Some(SupportedCipherSuite::Tls12(suite)) = cbc_suites().nth(suite) else {
        return;
    };
    let mac = || AeadKey::from([9; 32]);
    let mut reader = suite.aead_alg.decrypter(mac(), key);
    assert_eq!(read(&mut *reader, data), None, "nobody guesses a MAC");
    let mut writer = suite.aead_alg.encrypter(mac(), key, &[]);
    let message = OutboundPlainMessage {
        typ: KIND,
        version: VERSION,
        payload: OutboundChunks::Single(data),
    };
    let mut record = writer.encrypt(message, 0).expect("it fits").encode();
    record.drain(..5);
    assert_eq!(read(&mut *reader, &record).as_deref(), Some(data));
    let at = usize::from(at) % record.len();
    record[at] ^= 1;
    assert_eq!(read(&mut *reader, &record), None, "byte {at}");
});
