//! What stands in front of a record's data, and the data while its fields are read.

use super::text::{named, print};
use super::wire::{Cursor, Malformed};
use crate::names::{class_name, type_name, type_number};

/// What stands in front of a record's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The owner in presentation form.
    pub owner: Vec<u8>,
    /// The type.
    pub rtype: u16,
    /// The class; the size of the sender's UDP buffer in an OPT record.
    pub class: u16,
    /// Time to live in seconds; flags in an OPT record.
    pub ttl: u32,
}

impl Header {
    /// Owner, TTL, class and type, a tab behind each.
    pub fn print(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(&self.owner);
        // ANY is also the name of a type, and so no good name for a class.
        let class = class_name(self.class).filter(|name| type_number(name).is_none());
        print(text, format_args!("\t{}\t", self.ttl));
        named(class, "CLASS", self.class, text);
        text.push(b'\t');
        named(type_name(self.rtype), "TYPE", self.rtype, text);
        text.push(b'\t');
    }
}

/// The data of a record while its fields are read. Once it ends behind a field, the fields that are still to come are
/// zero and empty.
#[derive(Clone, Debug)]
pub struct Data<'m> {
    /// The data, with the message in front of it.
    pub cursor: Cursor<'m>,
    ended: bool,
}

impl<'m> Data<'m> {
    /// A record may have no data at all.
    pub fn new(cursor: Cursor<'m>) -> Self {
        let ended = cursor.is_at_end();
        Self { cursor, ended }
    }

    /// Whether the data ended before the next field.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// A field behind which the record may end.
    fn field<T: Default>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'m>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if self.ended {
            return Ok(T::default());
        }
        let value = read(&mut self.cursor)?;
        self.ended = self.cursor.is_at_end();
        Ok(value)
    }

    /// An octet.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.field(Cursor::u8)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.field(Cursor::u16)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.field(Cursor::u32)
    }

    /// A number of 48 bits.
    pub fn u48(&mut self) -> Result<u64, Malformed> {
        let [a, b, c, d, e, f] = self.field(Cursor::array::<6>)?;
        Ok(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.field(Cursor::array).map(u64::from_be_bytes)
    }

    /// An address, or another field of fixed length; `None` when the data ended before it.
    pub fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Malformed> {
        self.field(|cursor| cursor.array().map(Some))
    }

    /// A character string.
    pub fn string(&mut self) -> Result<&'m [u8], Malformed> {
        self.field(Cursor::string)
    }

    /// A name, appended to `text`.
    pub fn name(&mut self, text: &mut Vec<u8>) -> Result<(), Malformed> {
        self.field(|cursor| cursor.name(text))
    }

    /// A field whose length stood in an earlier one. The record may not end behind it: another field has to come.
    pub fn sized(&mut self, length: usize) -> Result<&'m [u8], Malformed> {
        if self.ended {
            Ok(&[])
        } else {
            self.cursor.take(length)
        }
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'m [u8] {
        self.ended = true;
        self.cursor.rest()
    }
}

/// Appends the types that a bitmap names, a blank in front of each.
///
/// # Errors
/// Blocks out of order, empty, longer than 32 octets, or beyond the data.
pub fn bitmap(data: &mut Data<'_>, text: &mut Vec<u8>) -> Result<(), Malformed> {
    let cursor = &mut data.cursor;
    let mut last = None;
    while !cursor.is_at_end() {
        let (window, length) = (cursor.u8()?, cursor.u8()?);
        if last.is_some_and(|last| window <= last) {
            return Err(Malformed("the blocks of a type bitmap are out of order"));
        }
        if !(1..=32).contains(&length) {
            return Err(Malformed("a block of a type bitmap has not 1 to 32 octets"));
        }
        for (index, octet) in (0..).zip(cursor.take(usize::from(length))?) {
            for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                let number = u16::from(window) << 8 | index << 3 | bit;
                text.push(b' ');
                named(type_name(number), "TYPE", number, text);
            }
        }
        last = Some(window);
    }
    Ok(())
}
