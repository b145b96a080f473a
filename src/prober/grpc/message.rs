//! The messages of `grpc.health.v1`, so small that a reader of the protobuf wire format is all they need.

use std::borrow::Cow;

use gostd::protobuf::{self, read_varint};

/// Deepest nesting of groups that Go's decoder follows.
const MAX_GROUPS: usize = 10_000;

/// The states that the protocol names, with their numbers in `HealthCheckResponse.ServingStatus`.
pub const SERVING_STATUSES: [(i32, &str); 4] = [
    (0, "UNKNOWN"),
    (1, "SERVING"),
    (2, "NOT_SERVING"),
    (3, "SERVICE_UNKNOWN"),
];

/// The state that means success.
pub const SERVING: i32 = 1;

/// The name of a state; a state that the protocol does not name is shown as its number.
pub fn serving_status_name(status: i32) -> Cow<'static, str> {
    match SERVING_STATUSES.iter().find(|(number, _)| *number == status) {
        Some((_, name)) => Cow::Borrowed(name),
        None => Cow::Owned(status.to_string()),
    }
}

/// For the log: the serving status in words.
pub fn serving_text(service: &str, status: i32) -> String {
    let name = serving_status_name(status);
    if service.is_empty() {
        format!("the server is {name}")
    } else {
        format!("the service {service:?} is {name}")
    }
}

/// A `HealthCheckRequest` as it goes out: not compressed, its length, its octets.
pub fn health_check_request(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 10);
    if !service.is_empty() {
        protobuf::bytes(&mut message, 1, service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.append(&mut message);
    framed
}

/// The number in field 1 of a message: `HealthCheckResponse.status`, or `google.rpc.GrpcStatus.code`. The last one counts, 0
/// is the default, other fields and other wire types are passed over.
///
/// # Errors
/// The octets are no protobuf message.
pub fn first_field(message: &[u8]) -> Result<i32, &'static str> {
    let mut rest = message;
    let mut value = 0;
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let tag = read_varint(&mut rest)?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err("a field has an impossible number");
        }
        match tag & 7 {
            0 => {
                let varint = read_varint(&mut rest)?;
                if number == 1 && groups.is_empty() {
                    // An enum has 32 bits: what is above them is cut off, as every decoder does.
                    let [a, b, c, d, ..] = varint.to_le_bytes();
                    value = i32::from_le_bytes([a, b, c, d]);
                }
            }
            1 => skip(&mut rest, 8)?,
            2 => {
                let length = read_varint(&mut rest)?;
                skip(&mut rest, length)?;
            }
            3 if groups.len() < MAX_GROUPS => groups.push(number),
            3 => return Err("groups are nested too deeply"),
            4 if groups.pop() == Some(number) => {}
            4 => return Err("a group ends that did not begin"),
            5 => skip(&mut rest, 4)?,
            _ => return Err("a field has an unknown wire type"),
        }
    }
    if groups.is_empty() {
        Ok(value)
    } else {
        Err("a group does not end")
    }
}

fn skip(rest: &mut &[u8], length: u64) -> Result<(), &'static str> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    *rest = rest.get(length..).ok_or("a field goes beyond the message")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests() {
        assert_eq!(health_check_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_check_request("svc"), *b"\0\0\0\0\x05\x0a\x03svc");
        let long = health_check_request(&"s".repeat(300));
        assert_eq!(long[..8], *b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn responses() {
        let rows: &[(&[u8], Result<i32, &str>)] = &[
            (b"", Ok(0)),
            (b"\x08\x01", Ok(1)),
            (b"\x08\x01\x08\x02", Ok(2)),
            (b"\x08\x07", Ok(7)),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(-1)),
            (b"\x10\x01\x08\x01", Ok(1)),
            (b"\x0a\x01x\x08\x01", Ok(1)),
            (b"\x0d\0\0\0\0\x09\0\0\0\0\0\0\0\0", Ok(0)),
            (b"\x13\x08\x03\x14\x08\x01", Ok(1)),
            (b"\x08", Err("a number goes beyond the message")),
            (b"\x0a\x05x", Err("a field goes beyond the message")),
            (b"\x13\x08\x03", Err("a group does not end")),
            (b"\x14", Err("a group ends that did not begin")),
            (b"\x00\x01", Err("a field has an impossible number")),
            (b"\x0e", Err("a field has an unknown wire type")),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                Err("a number has more than 64 bits"),
            ),
        ];
        for (message, want) in rows {
            assert_eq!(first_field(message), *want, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_fail_but_by_an_error(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = first_field(&octets);
        }
    }
}
