//! The wire format of protobuf: fields written one by one, and numbers read.

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// Appends an unsigned number, seven bits a byte, lowest first.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

/// Appends a field of bytes or text.
pub fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field of a whole number.
pub fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

/// Appends a field of eight bytes.
pub fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, FIXED_64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of a floating-point number.
pub fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    fixed64(out, field, value.to_bits());
}

/// Appends a field of four bytes.
pub fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    key(out, field, FIXED_32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a message within a message.
pub fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, LENGTH_DELIMITED);
    let start = out.len();
    // The length of nearly every message has one byte or two: the message moves up by what is missing.
    out.push(0);
    fill(out);
    let length = (out.len() - start - 1) as u64;
    let mut prefix = Vec::with_capacity(5);
    varint(&mut prefix, length);
    out.splice(start..=start, prefix);
}

/// Takes a number off the front.
///
/// # Errors
/// It does not end, or is too large.
pub fn read_varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (octet, behind) = rest.split_first().ok_or("a number goes beyond the message")?;
        *rest = behind;
        if shift == 63 && *octet > 1 {
            return Err("a number has more than 64 bits");
        }
        value |= u64::from(octet & 0x7F) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_have_long_lengths() {
        for size in [0, 1, 120, 127, 128, 300, 20_000] {
            let mut out = vec![9];
            message(&mut out, 5, |out| out.resize(out.len() + size, 7));
            let mut body = &out[2..];
            let length = read_varint(&mut body).unwrap();
            assert_eq!((out[0], out[1]), (9, 5 << 3 | 2));
            assert_eq!((length as usize, body), (size, vec![7; size].as_slice()));
        }
    }
}
